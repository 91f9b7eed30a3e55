"""The operations of the emulated products: paths, parameters, answers.

Read `operation` first; `operations` collects those of all products.
"""
