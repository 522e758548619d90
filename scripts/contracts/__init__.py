"""The machinery of proof for the contracts: what `make contracts`, `mutants`, `halmos`, `coverage`,
`campaign` run.

Parsers and rules are pure and tested in tests/unit/test_proof_*.py; what starts programs is thin and stands
beside them.
"""
