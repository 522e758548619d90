"""Faults put into a running network, to see that nothing is lost: `make chaos`.

scenario.py    what a fault scenario is
scenarios/     links, chain, disk and clock, dishonest peers
"""
