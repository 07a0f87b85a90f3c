"""Validating files without a server or a database. docs/guide/validation.md"""
