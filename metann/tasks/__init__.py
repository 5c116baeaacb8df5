"""Tasks to meta-learn from: drawn, or taken from a labelled dataset."""
