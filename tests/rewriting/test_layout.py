"""Everything that is not renamed stays, down to the last space; what cannot be kept is refused."""

from __future__ import annotations

import pytest
from before_after import rewritten

from metann.codegen.errors import CodegenError

NET = "from torch import nn\n\n\nclass Net(nn.Module):\n    pass\n"
DEPENDENT_NET = (
    "from metann import DependentModule\n\n\nclass DependentNet(DependentModule):\n    pass\n"
)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: f"\ufeff{text}",
        lambda text: text.rstrip("\n"),
        lambda text: f"{text}\n\n# the end",
        lambda text: text.replace("\n\nclass", "\n\x0c\nclass"),
        lambda text: text.replace("    pass", "\tpass"),
        lambda text: text.replace("    pass", " pass ;  pass  # two"),
        lambda text: f"# -*- coding: latin-1 -*-\n{text}# é\n",
        lambda text: f"{text}  \t\n\n   # odd\n",
        lambda text: text.replace("(", "(  ").replace(")", "\\\n  )"),
        lambda text: f"{text}x = ('''\n\n  text ''',   [ 1,2 , 3,] )\n",
    ],
)
def test_the_layout_stays(change) -> None:
    assert rewritten(change(NET)).text == change(DEPENDENT_NET)


def test_mixed_line_endings_stay() -> None:
    text = NET.replace("):\n", "):\r\n")

    assert rewritten(text).text == DEPENDENT_NET.replace("):\n", "):\r\n")


def test_comments_and_brackets_stay() -> None:
    before = (
        "from torch import nn\n"
        "layers = [  # all of them\n"
        "    nn.Linear(  # the first\n"
        "        3, 4  # sizes\n"
        "    ),\n"
        "    (nn.ReLU)(),  # brackets\n"
        "    ( nn . GELU )  (  ),\n"
        "]\n"
        "# nn.Linear here, 'nn.Linear' there\n"
    )
    after = (
        "from metann.generated import DependentGELU, DependentLinear, DependentReLU\n"
        "layers = [  # all of them\n"
        "    DependentLinear(  # the first\n"
        "        3, 4  # sizes\n"
        "    ),\n"
        "    (DependentReLU)(),  # brackets\n"
        "    ( DependentGELU )  (  ),\n"
        "]\n"
        "# nn.Linear here, 'nn.Linear' there\n"
    )

    assert rewritten(before).text == after


def test_new_lines_are_those_of_the_file() -> None:
    text = (
        "from torch import nn\r\nnet = nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Linear\r\n"
    )

    found = rewritten(text).text

    assert "\n" not in found.replace("\r\n", "")
    assert found.startswith("from metann.generated import (\r\n    DependentBatchNorm2d,\r\n")


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", '"""Doc."""\n', "x = 3"])
def test_a_file_with_nothing_to_rewrite_stays(text: str) -> None:
    found = rewritten(text)

    assert found.text == text
    assert [note.what for note in found.notes] == ["pkg.nets stays as it is"]


def test_a_syntax_error_says_where_it_is() -> None:
    file_of_another_text = rewritten  # `rewritten` reads the text before it is rewritten.
    with pytest.raises(Exception, match="Syntax Error"):
        file_of_another_text("class Net(:\n")


def test_the_text_may_be_no_python() -> None:
    from before_after import installed_torch

    from metann.codegen.rewriting import rewrite
    from metann.codegen.source import SourceFile

    with pytest.raises(CodegenError, match=r"Asked to rewrite nets, but line 2 is no Python"):
        rewrite(
            "x = 3\nclass Net(:\n",
            SourceFile("nets"),
            installed_torch(),
            keep_relative_imports=True,
        )
