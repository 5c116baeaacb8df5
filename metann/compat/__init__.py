"""The names and calls of other libraries, on top of metann: code written for them goes on working.

Import the one that you know: `from metann.compat import higher`. Nothing of these libraries is
installed or imported, and nothing here is imported before you ask for it.
"""
