"""The operations of the emulated products: paths, parameters, responses.

Read `operation` first; `operations` collects those of all products.
"""
