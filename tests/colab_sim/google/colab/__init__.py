"""Stands in for Colab's own package. google/ has no __init__.py, as it is a namespace."""
