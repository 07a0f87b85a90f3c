"""For tests, of this project and of plugins: a database to test on. docs/guide/run-it.md"""
