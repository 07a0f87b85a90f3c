"""Doors to other systems: registries, devices, clearinghouses, payments, messages. docs/guide/"""
