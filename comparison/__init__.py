"""The paper beside our logs: results.py finds runs, tables.py and formats.py have the tables, report.py the page."""
