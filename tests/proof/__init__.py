"""The engine's properties on random accounts, checked by judges that know the truth.

`worlds` draws accounts, policies and trouble; `oracle` foretells what becomes of an account;
`witness` watches every change; a `process` may be killed; `engine` and `function` run the janitor
in one. `python -m tests.proof` tries many accounts.
"""
