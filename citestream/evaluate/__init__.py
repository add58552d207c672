"""Evaluation: questions with what is expected of them, asked of the real thing, and what the answers were worth.

`questions.py` reads what to ask, `asking.py` asks it (in process or over HTTP), `measures.py` judges, `report.py`
writes and compares; `adapter.py` offers the same to programs that bring documents and questions of their own.
"""

from citestream.evaluate.adapter import Citestream

__all__ = ["Citestream"]
