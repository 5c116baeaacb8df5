"""`metann-generate --rewrite`: a user's model file -> a dependent version of itself."""
