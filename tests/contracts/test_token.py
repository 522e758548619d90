"""Token: supply, and a permit signed by somebody without ether."""

from __future__ import annotations

from brownie import accounts, chain, web3
from eth_account import Account
from scene import SUPPLY


def test_deployer_gets_the_supply(scene):
    assert (scene.token.name(), scene.token.symbol(), scene.token.decimals()) == ("Mixpay Token", "MIX", 18)
    assert scene.token.totalSupply() == scene.token.balanceOf(scene.deployer) == SUPPLY


def test_permit_approves_by_signature(scene, alice, bob):
    deadline = chain.time() + 100
    domain = {
        "name": "Mixpay Token",
        "version": "1",
        "chainId": web3.eth.chain_id,
        "verifyingContract": str(scene.token),
    }
    names = ("owner", "spender", "value", "nonce", "deadline")
    kinds = ("address", "address", "uint256", "uint256", "uint256")
    fields = [{"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)]
    message = dict(zip(names, (str(alice.account), str(bob.account), 5, 0, deadline), strict=True))
    signed = Account.sign_typed_data(alice.key, domain, {"Permit": fields}, message)
    r, s = (number.to_bytes(32, "big") for number in (signed.r, signed.s))
    scene.token.permit(alice.account, bob.account, 5, deadline, signed.v, r, s, {"from": accounts[3]})
    assert scene.token.allowance(alice.account, bob.account) == 5
