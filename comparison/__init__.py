"""The paper beside our logs.

results.py finds runs, tables.py and formats.py have the tables, commands.py what makes them.
"""
