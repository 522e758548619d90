// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {Network} from "../../contracts/Network.sol";
import {ReceiptCourt} from "../../contracts/ReceiptCourt.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {SubsidyPool} from "../../contracts/SubsidyPool.sol";
import {Token} from "../../contracts/Token.sol";
import {vm} from "./Vm.sol";

/// @dev What tests and handlers of several contracts share: parameters, money, signatures, inputs.
abstract contract Tools {
    uint64 internal constant GENESIS = 1_700_000_000;
    uint32 internal constant EPOCH = 1 days;
    uint32 internal constant TERM = 4;
    uint96 internal constant STAKE = 1000 ether;
    uint40 internal constant UNBONDING = 14 days;
    uint40 internal constant NOTICE = 2 days;
    uint40 internal constant CLAIM_WINDOW = 3 days;
    uint40 internal constant WITHDRAWAL_NOTICE = 7 days;
    uint40 internal constant ANSWER_WINDOW = 1 days;
    uint40 internal constant FINISH_WINDOW = 12 hours;
    uint40 internal constant GRACE = 1 days;
    uint96 internal constant COURT_COST = 0.1 ether;
    uint96 internal constant PENALTY = 500 ether;
    uint96 internal constant HOP_PRICE = 1e12;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    Token internal token;
    Network internal network;
    RelayRegistry internal registry;
    Channels internal channels;
    ReceiptCourt internal court;
    SubsidyPool internal pool;

    address internal governor = address(0x6001);

    // ---------------------------------------------------------------- money

    /// @dev Gives an account tokens, approved to a spender.
    function give(address account, address spender, uint256 amount) internal {
        token.transfer(account, amount);
        vm.prank(account);
        token.approve(spender, type(uint256).max);
    }

    /// @dev Gives an account a balance in the ledger.
    function credit(address account, uint96 amount) internal {
        give(account, address(channels), amount);
        vm.prank(account);
        channels.deposit(amount);
    }

    /// @dev Gives a payer a channel with a deposit.
    function open(address payer, address payee, uint96 amount) internal {
        credit(payer, amount);
        vm.prank(payer);
        channels.fund(payee, amount);
    }

    /// @dev Registers the relay of an operator key; the owner has tokens, approved to the registry.
    function join(address owner, uint256 operatorKey) internal returns (uint32) {
        bytes memory signed = consent(operatorKey, owner);
        vm.prank(owner);
        return registry.register(vm.addr(operatorKey), bytes32("link"), "host:1", signed);
    }

    /// @dev What the registry's tree holds of a relay.
    function leafOf(uint32 id, address operator, bytes32 linkKey, string memory endpoint)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(id, operator, linkKey, keccak256(bytes(endpoint))));
    }

    function claimable(address payer, address payee, uint96 cumulative) internal view returns (uint256) {
        (uint96 deposited, uint96 claimed,) = channels.channel(payer, payee);
        uint96 total = cumulative < deposited ? cumulative : deposited;
        return total > claimed ? total - claimed : 0;
    }

    function goTo(uint32 epoch) internal {
        vm.warp(network.epochStart(epoch));
    }

    // ---------------------------------------------------------------- signatures

    function domain(string memory name, address verifier) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                verifier
            )
        );
    }

    function digest(string memory name, address verifier, bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked("\x19\x01", domain(name, verifier), structHash));
    }

    function signature(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }

    function voucher(uint256 payerKey, address payee, uint96 cumulative, uint32 uptoBatch)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256("Voucher(address payer,address payee,uint96 cumulative,uint32 uptoBatch)");
        bytes32 structHash = keccak256(abi.encode(typehash, vm.addr(payerKey), payee, cumulative, uptoBatch));
        return signature(payerKey, digest("Mixpay Channels", address(channels), structHash));
    }

    function poolVoucher(uint256 signerKey, uint32 campaign, address relay, uint32 period, uint96 cumulative)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256("PoolVoucher(uint32 campaign,address relay,uint32 period,uint96 cumulative)");
        bytes32 structHash = keccak256(abi.encode(typehash, campaign, relay, period, cumulative));
        return signature(signerKey, digest("Mixpay SubsidyPool", address(pool), structHash));
    }

    /// @dev The same signature in the form of EIP-2098.
    function compact(bytes memory signed) internal pure returns (bytes32 r, bytes32 vs) {
        (r, vs) = abi.decode(signed, (bytes32, bytes32));
        vs |= bytes32(uint256(uint8(signed[64]) - 27) << 255);
    }

    function consent(uint256 operatorKey, address owner) internal view returns (bytes memory) {
        bytes32 typehash = keccak256("OperatorConsent(address operator,address owner)");
        bytes32 structHash = keccak256(abi.encode(typehash, vm.addr(operatorKey), owner));
        return signature(operatorKey, digest("Mixpay RelayRegistry", address(registry), structHash));
    }

    // ---------------------------------------------------------------- inputs

    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        if (x >= low && x <= high) return x;
        uint256 size = high - low;
        return size == type(uint256).max ? x : low + x % (size + 1);
    }

    /// @dev Any private key of the curve.
    function keyFrom(uint256 x) internal pure returns (uint256) {
        return bound(x, 1, ORDER - 1);
    }

    /// @dev An address that can own money here: not one of the contracts.
    function assumeAccount(address account) internal view {
        vm.assume(account != address(0) && account != address(channels) && account != address(pool));
        vm.assume(account != address(this) && account != address(registry) && account != address(token));
        vm.assume(account != address(court));
    }
}
