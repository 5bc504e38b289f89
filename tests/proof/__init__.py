"""The engine proved: random accounts on the simulator, and judges that know the truth.

`wire` carries real boto3 clients' requests to the simulator in process; `worlds` makes accounts and
policies; `oracle` says what should become of them; `witness` watches what is done to them; `engine`
runs the janitor there and kills it. `python -m tests.proof` tries many.
"""
