"""`metann-generate --rewrite`: a user's model file -> a dependent version of itself."""

from metann.codegen.rewriting.rewrite import Rewritten as Rewritten
from metann.codegen.rewriting.rewrite import rewrite as rewrite
