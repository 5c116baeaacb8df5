"""What layers of torch need beside their generated class: mixins that stand before it."""
