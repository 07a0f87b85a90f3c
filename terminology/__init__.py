"""Terminology: concepts, their operations and their loaders, behind the terminology port. docs/guide/"""
