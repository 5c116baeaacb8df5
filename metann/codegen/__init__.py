"""Writes counterparts as source text: read -> plan -> render -> format -> write."""
