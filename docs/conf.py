"""How the documentation site is built: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The checkout that this file stands in is what is documented, whatever metann is installed.
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

import metann  # noqa: E402

project = "metann"
author = "The metann developers"
copyright = author
version = release = metann.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docstring_names",
    "listings",
    "outside_names",
    "raw_anchors",
    "repository_files",
    "written_types",
]
# A README is there for who reads the folder, not the site.
exclude_patterns = ["README.md", "**/README.md"]
nitpicky = True
myst_heading_anchors = 4

# Signatures show names and defaults; the types stand in the list below.
autodoc_typehints = "description"
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "exclude-members": "cls_to_become",  # how torch's lazy layers say what they turn into
}
add_module_names = False
python_maximum_signature_line_length = 80
napoleon_custom_sections = [("Attributes", "params_style"), ("Dependents", "params_style")]

html_theme = "furo"
html_title = f"metann {version}"
pygments_dark_style = "a11y-high-contrast-dark"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
