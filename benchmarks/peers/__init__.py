"""What metann is compared with: the same meta-gradient by other libraries, and by hand."""
