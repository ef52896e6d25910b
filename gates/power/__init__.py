"""What can these rows decide? The answer of `model-gates power`, before anybody waits for a run.

Evidence is put together as a run would, and the gates measure as they do in one; no gate knows of
this. `expected` fills in what only a second model could have shown, `decidable` turns a measured
check into what it can decide, and the rest is words.
"""
