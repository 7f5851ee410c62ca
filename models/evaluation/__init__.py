"""How good a scorer is: measures with their intervals, and a page to look at.

measures.py and bootstrap.py are numbers only; pixels.py is for data with masks. page.py, and what it draws with
(figures.py, embedding.py, cases.py), import matplotlib, jinja2 and scikit-learn, so import it only where a report is
written.
"""
