"""The engine proved: random accounts on the simulator, and judges that know the truth.

`worlds` makes accounts, policies and trouble; `oracle` says what should become of an account;
`witness` watches what is done to it; a `process` calls it, and may be killed; `engine` and
`function` run the janitor there. `python -m tests.proof` tries many.
"""
