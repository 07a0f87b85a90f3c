"""Readers of code system releases: files in, concepts out. No database, no network; see docs/guide/terminology.md."""
