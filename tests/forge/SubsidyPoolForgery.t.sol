// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {SubsidyPool} from "../../contracts/SubsidyPool.sol";
import {KnownPasses} from "./KnownPasses.sol";
import {PassMaker} from "./PassMaker.sol";
import {vm} from "./Vm.sol";

/// @dev Attacks on redeemPasses: everything that is not a pass of this campaign, period, kind and relay, once.
contract SubsidyPoolForgeryTest is PassMaker {
    /// @dev Passes of PERIOD, spent up to tick 300: the first two draw the relay at position 0, the third the next.
    ISubsidyPool.Pass private good;
    ISubsidyPool.Pass private another;
    ISubsidyPool.Pass private others;

    function setUp() public override {
        super.setUp();
        setKey(found(RICH, RICH, RICH), ENTRY, PERIOD + 1);
        goTo(PERIOD + 2); // PERIOD + 1 is over, as are those before
        good = passFor(0, ENTRY, PERIOD, 1, 300);
        another = passFor(0, ENTRY, PERIOD, 100, 300);
        others = passFor(1, ENTRY, PERIOD, 1, 300);
    }

    function id(ISubsidyPool.Pass memory p) private view returns (bytes32) {
        return digestOf(campaign, ENTRY, PERIOD, p.anchor);
    }

    function refused(ISubsidyPool.Pass memory p, bytes memory reason) private {
        vm.expectRevert(reason);
        redeem(0, PERIOD, p);
    }

    // ---------------------------------------------------------------- twice

    function test_redeem_failsTwice() public {
        ISubsidyPool.Pass memory p = good;
        bytes memory reason = abi.encodeWithSelector(ISubsidyPool.PassRedeemed.selector, id(p));
        redeem(0, PERIOD, p);
        refused(p, reason);
        (p.tick, p.link) = (299, keccak256(abi.encode(p.link)));
        refused(p, reason); // an earlier tick of it
        goTo(PERIOD + 3);
        refused(p, reason);
    }

    function test_redeem_failsTwiceInOneCall() public {
        ISubsidyPool.Pass[] memory passes = new ISubsidyPool.Pass[](3);
        (passes[0], passes[1]) = (good, another);
        passes[2] = passes[0];
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.PassRedeemed.selector, id(passes[0])));
        redeem(0, PERIOD, passes);
        vm.assertFalse(pool.isRedeemed(id(passes[1])));
    }

    // ---------------------------------------------------------------- signature

    /// @dev Signed by the campaign's key, but for something else.
    function test_redeem_failsIfSignedForAnother() public {
        ISubsidyPool.Pass memory p = good;
        uint64 chain = uint64(block.chainid);
        expectUnsigned(p, abi.encodePacked("mixpay-pass-v1", chain, address(pool), campaign + 1, ENTRY, PERIOD));
        expectUnsigned(p, abi.encodePacked("mixpay-pass-v1", chain, address(pool), campaign, MAILBOX, PERIOD));
        expectUnsigned(p, abi.encodePacked("mixpay-pass-v1", chain, address(pool), campaign, ENTRY, PERIOD + 1));
        expectUnsigned(p, abi.encodePacked("mixpay-pass-v1", chain, address(this), campaign, ENTRY, PERIOD));
        expectUnsigned(p, abi.encodePacked("mixpay-pass-v1", chain + 1, address(pool), campaign, ENTRY, PERIOD));
        expectUnsigned(p, abi.encodePacked("mixpay-pass-v2", chain, address(pool), campaign, ENTRY, PERIOD));
    }

    function expectUnsigned(ISubsidyPool.Pass memory p, bytes memory scope) private {
        p.signature = sign(sha256(abi.encodePacked(scope, p.anchor)));
        refused(p, abi.encodeWithSelector(ISubsidyPool.InvalidPassSignature.selector, id(p)));
    }

    /// @dev A good pass, handed in where it does not belong: as a pass of another campaign, period, kind, pool or chain.
    function test_redeem_failsElsewhere() public {
        ISubsidyPool.Pass[] memory passes = listed(good);
        bytes32 anchor = passes[0].anchor;
        expectUnsignedAt(campaign + 1, ENTRY, PERIOD + 1, passes, digestOf(campaign + 1, ENTRY, PERIOD + 1, anchor));
        expectUnsignedAt(campaign, ENTRY, PERIOD + 1, passes, digestOf(campaign, ENTRY, PERIOD + 1, anchor));
        goTo(2 * TERM);
        expectUnsignedAt(campaign, MAILBOX, TERM_PERIOD, passes, digestOf(campaign, MAILBOX, TERM_PERIOD, anchor));
        goTo(PERIOD + 2);
        vm.chainId(block.chainid + 1);
        refused(passes[0], abi.encodeWithSelector(ISubsidyPool.InvalidPassSignature.selector, id(passes[0])));
    }

    function expectUnsignedAt(uint32 at, uint8 kind, uint32 period, ISubsidyPool.Pass[] memory passes, bytes32 digest)
        private
    {
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidPassSignature.selector, digest));
        vm.prank(operator(0));
        pool.redeemPasses(at, kind, period, KnownPasses.modulus(), place(0), passes);
    }

    function test_redeem_failsAtAnotherPool() public {
        ISubsidyPool.Pass memory p = good;
        goTo(1);
        pool = new SubsidyPool(channels, registry, network, TERM, CLAIM_WINDOW, WITHDRAWAL_NOTICE);
        vm.assertEq(found(RICH, RICH, RICH), campaign);
        // The same key for a later period; then what was signed for the first pool.
        setKey(campaign, ENTRY, PERIOD + 1);
        goTo(PERIOD + 2);
        bytes32 digest = digestOf(campaign, ENTRY, PERIOD + 1, p.anchor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidPassSignature.selector, digest));
        redeem(0, PERIOD + 1, p);
    }

    /// @dev One bit of a signature, or of the anchor that it signs.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_redeem_failsIfChanged(uint256 bit, bool anchor) public {
        ISubsidyPool.Pass memory p = good;
        bytes32 flip = bytes32(1 << (bit % 256));
        if (anchor) p.anchor ^= flip;
        else p.signature[(bit >> 8) % 8] ^= flip;
        refused(p, abi.encodeWithSelector(ISubsidyPool.InvalidPassSignature.selector, id(p)));
    }

    function test_redeem_failsWithAnotherKey() public {
        ISubsidyPool.Pass[] memory passes = listed(good);
        bytes32[8] memory modulus = KnownPasses.modulus();
        bytes memory reason = abi.encodeWithSelector(ISubsidyPool.InvalidKey.selector);
        modulus[7] ^= bytes32(uint256(2));
        vm.expectRevert(reason);
        vm.prank(operator(0));
        pool.redeemPasses(campaign, ENTRY, PERIOD, modulus, place(0), passes);
        for (uint8 kind = 0; kind < 4; ++kind) {
            if (kind == ENTRY) continue;
            vm.expectRevert(reason); // no key: not of this kind, and not of what is no kind
            vm.prank(operator(0));
            pool.redeemPasses(campaign, kind, 0, KnownPasses.modulus(), place(0), passes);
        }
        vm.expectRevert(reason);
        vm.prank(operator(0));
        pool.redeemPasses(99, ENTRY, PERIOD, KnownPasses.modulus(), place(0), passes);
    }

    // ---------------------------------------------------------------- tick

    function test_redeem_failsForATickOutOfRange() public {
        ISubsidyPool.Pass memory p = good;
        bytes memory reason = abi.encodeWithSelector(ISubsidyPool.InvalidTick.selector, id(p));
        uint16[3] memory ticks = [uint16(0), 16_385, 65_535];
        for (uint256 i = 0; i < 3; ++i) {
            p.tick = ticks[i];
            refused(p, reason);
        }
    }

    /// @dev The link held is of tick 300: no other tick can be claimed with it.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_redeem_failsForAnotherTick(uint256 tick) public {
        ISubsidyPool.Pass memory p = good;
        p.tick = uint16(bound(tick, 1, 16_384));
        vm.assume(p.tick != 300);
        refused(p, abi.encodeWithSelector(ISubsidyPool.InvalidTick.selector, id(p)));
    }

    function test_redeem_failsForAnotherLinkOrPath() public {
        ISubsidyPool.Pass memory p = good;
        bytes memory reason = abi.encodeWithSelector(ISubsidyPool.InvalidTick.selector, id(p));
        bytes32 link = p.link;
        p.link = another.link; // of another pass
        refused(p, reason);
        p.link = keccak256(abi.encode(link)); // one tick earlier
        refused(p, reason);
        p.link = link;
        for (uint256 i = 0; i < 6; ++i) {
            bytes32 sibling = p.siblings[i];
            p.siblings[i] ^= bytes32(uint256(1));
            refused(p, reason);
            p.siblings[i] = sibling;
        }
        redeem(0, PERIOD, p);
    }

    // ---------------------------------------------------------------- relay

    function test_redeem_failsIfItDrawsAnother() public {
        ISubsidyPool.Pass memory p = others;
        refused(p, abi.encodeWithSelector(ISubsidyPool.WrongRelay.selector, id(p), 1));
        ISubsidyPool.Pass[] memory passes = new ISubsidyPool.Pass[](2);
        (passes[0], passes[1]) = (good, p);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.WrongRelay.selector, id(p), 1));
        redeem(0, PERIOD, passes);
    }

    /// @dev Whoever sees the call in the mempool cannot make it for itself, nor the drawn relay's rival.
    function testFuzz_redeem_failsForStrangers(address stranger) public {
        vm.assume(stranger != operator(0));
        ISubsidyPool.Pass[] memory passes = listed(good);
        expectNoRelay(stranger, place(0), passes);
    }

    function test_redeem_failsForAnythingElseInTheLeaf() public {
        ISubsidyPool.Pass[] memory passes = listed(good);
        ISubsidyPool.RelayProof memory proof = place(0);
        proof.id = 2;
        expectNoRelay(operator(0), proof, passes);
        proof = place(0);
        proof.linkKey = bytes32("another");
        expectNoRelay(operator(0), proof, passes);
        proof = place(0);
        proof.endpointHash = keccak256("host:2");
        expectNoRelay(operator(0), proof, passes);
        proof = place(0);
        proof.position = 1;
        expectNoRelay(operator(0), proof, passes);
        proof = place(0);
        proof.siblings = new bytes32[](0);
        expectNoRelay(operator(0), proof, passes);
        proof.siblings = new bytes32[](3);
        (proof.siblings[0], proof.siblings[1]) = (leafAt(1), place(0).siblings[1]);
        expectNoRelay(operator(0), proof, passes);
    }

    /// @dev A position beyond the count has the same path; but nothing draws it.
    function test_redeem_failsForAPositionBeyondTheCount() public {
        ISubsidyPool.Pass[] memory passes = listed(good);
        ISubsidyPool.RelayProof memory proof = place(0);
        proof.position = 4;
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.WrongRelay.selector, id(passes[0]), 0));
        vm.prank(operator(0));
        pool.redeemPasses(campaign, ENTRY, PERIOD, KnownPasses.modulus(), proof, passes);
    }

    /// @dev A relay that registered after the draw stands in no tree that passes drew from.
    function test_redeem_failsForARelayThatCameLater() public {
        ISubsidyPool.Pass[] memory passes = listed(good);
        address owner = address(0x1A7E);
        give(owner, address(registry), STAKE);
        join(owner, operatorKey(3));
        ISubsidyPool.RelayProof memory proof = place(0);
        (proof.id, proof.position) = (4, 3);
        (proof.siblings[0], proof.siblings[1]) = (leafAt(2), keccak256(abi.encodePacked(leafAt(0), leafAt(1))));
        bytes32 upper = keccak256(abi.encodePacked(leafAt(2), leafAt(3)));
        vm.assertEq(registry.root(), keccak256(abi.encodePacked(proof.siblings[1], upper)));
        expectNoRelay(operator(3), proof, passes);
    }

    /// @dev Of an epoch in which nobody was registered, nobody can redeem, and nothing divides by zero.
    function test_redeem_failsWithoutRelays() public {
        goTo(0);
        (bytes32 root, uint32 count,) = registry.frozen(1);
        vm.assertEq(root, bytes32(0));
        vm.assertEq(count, 0);
        goTo(PERIOD);
        ISubsidyPool.Pass[] memory passes = listed(makePass(campaign, ENTRY, 1, "seed", 1));
        ISubsidyPool.RelayProof memory proof = place(0);
        proof.siblings = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidRelayProof.selector));
        vm.prank(operator(0));
        pool.redeemPasses(campaign, ENTRY, 1, KnownPasses.modulus(), proof, passes);
    }

    function expectNoRelay(address who, ISubsidyPool.RelayProof memory proof, ISubsidyPool.Pass[] memory passes)
        private
    {
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidRelayProof.selector));
        vm.prank(who);
        pool.redeemPasses(campaign, ENTRY, PERIOD, KnownPasses.modulus(), proof, passes);
    }

    function test_redeem_failsWithoutPasses() public {
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.NoPasses.selector));
        redeem(0, PERIOD, new ISubsidyPool.Pass[](0));
    }

    // ---------------------------------------------------------------- the sponsor

    /// @dev A sponsor that sees the call coming cannot void it: a voucher is the relay's own to claim, the signer's change
    /// and a withdrawal's request take nothing away.
    function test_redeem_whateverTheSponsorDoesBefore() public {
        ISubsidyPool.Pass memory p = good;
        (bytes32 r, bytes32 vs) = compact(poolVoucher(SIGNER_KEY, campaign, operator(0), PERIOD, 1));
        vm.startPrank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(ISubsidyPool.InvalidSignature.selector));
        pool.claim(campaign, PERIOD, 1, r, vs);
        pool.setSigner(campaign, sponsor);
        pool.requestWithdrawal(campaign, RICH);
        vm.expectRevert(
            abi.encodeWithSelector(ISubsidyPool.NoticeRunning.selector, block.timestamp + WITHDRAWAL_NOTICE)
        );
        pool.finishWithdrawal(campaign, sponsor);
        vm.stopPrank();
        vm.assertEq(redeem(0, PERIOD, p), 300 * 5 * HOP_PRICE);
    }
}
