// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "../../contracts/Channels.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {ReceiptSamples} from "../../contracts/lib/ReceiptSamples.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {SubsidyPool} from "../../contracts/SubsidyPool.sol";
import {AttackScene} from "./AttackScene.sol";
import {KnownPasses} from "./KnownPasses.sol";
import {vm} from "./Vm.sol";

/// @dev Attacks, written as attacks. To add one, copy this into the contract:
///
///     function test_whatMalloryDoes() public {
///         fill(alice, mallory, 10 ether);                      // what went on before: Alice has a channel to Mallory,
///         bytes memory signed = pay(alice, mallory, 4 ether);  // owes her 4 tokens, and has signed for them
///         attempt(address(channels), abi.encodeCall(channels.move, (mallory.owner, 1 ether))); // what she tries, or
///         refused(address(channels), abi.encodeCall(...), IChannels.NotCourt.selector);        // what must not work
///         loot();                                              // nobody has lost, Mallory has gained nothing
///     }
///
/// and run it: scripts/forge test --match-contract Attacks --match-test whatMalloryDoes -vvvv
///
/// Alice, Bob and Mallory run relays, Carol is the sponsor. Each has a hot `account` with its `key`, and a cold `owner`. `pay`
/// and `carry` are work that was really done: they say what is owed. `sue`, `reply` and `win` are the ways of a case; for the
/// rest there is `vm`: warp, roll, prank, setBlockhash. What can be lost all the same stands at the end, with how much, under
/// test_limit_.
contract AttacksTest is AttackScene {
    bytes4 private immutable UNSIGNED = IChannels.InvalidSignature.selector; // the same in all contracts

    // ---------------------------------------------------------------- signatures used again, or changed

    function test_voucher_replayedAfterCloseAndReopen() public {
        fill(alice, mallory, 10 ether);
        bytes memory signed = pay(alice, mallory, 4 ether);
        bytes memory claim_ = claimOf(4 ether, signed);
        attempt(address(channels), claim_);
        attempt(address(channels), claim_);
        closeNow(alice, mallory.account);
        attempt(address(channels), claim_);
        fill(alice, mallory, 10 ether);
        attempt(address(channels), claim_);
        attempt(address(channels), abi.encodeCall(channels.claimMany, (mallory.account, record(4 ether, signed))));
        attempt(address(channels), abi.encodeCall(channels.release, (alice.account)));
        fill(alice, mallory, 10 ether);
        attempt(address(channels), claim_);
        loot();
    }

    struct Signed {
        bytes voucher;
        bytes base;
        bytes batch;
        bytes one;
        bytes two;
        bytes consent;
        bytes pool;
        ISubsidyPool.Pass pass;
    }

    /// @dev Everybody uses the same keys on two chains, and owes more on the other.
    function test_signatures_fromAnotherChain() public {
        vm.chainId(block.chainid + 1);
        Signed memory there = signAll();
        vm.chainId(block.chainid - 1);
        useAll(there, false);
        loot();
    }

    /// @dev The same for another set of contracts on this chain: an earlier or a later release.
    function test_signatures_fromAnotherDeployment() public {
        (Channels c, RelayRegistry r, SubsidyPool p) = (channels, registry, pool);
        (channels, registry, pool) = (Channels(address(0xC)), RelayRegistry(address(0xD)), SubsidyPool(address(0xE)));
        Signed memory there = signAll();
        (channels, registry, pool) = (c, r, p);
        useAll(there, false);
        loot();
    }

    /// @dev What is refused there is refused for nothing else: made for this place, each of them is good.
    function test_signatures_fromHere() public {
        useAll(signAll(), true);
    }

    function signAll() private view returns (Signed memory s) {
        s.voucher = voucher(alice.key, mallory.account, 7 ether, 0);
        s.base = voucher(alice.key, mallory.account, 8 ether, 1);
        s.batch = batchSignature(alice.key, mallory.account, anyBatch(2));
        (s.one, s.two) = (descriptor(alice.key, alice.relay, 1, "a"), descriptor(alice.key, alice.relay, 1, "b"));
        s.consent = consent(0xDA7E, mallory.account);
        s.pool = poolVoucher(carol.key, campaign, mallory.account, 1, 9 ether);
        uint256 seed = 0;
        do {
            s.pass = makePass(campaign, ENTRY, PERIOD, bytes32(seed++), 9);
        } while (drawnBy(s.pass) != 2);
    }

    function drawnBy(ISubsidyPool.Pass memory p) private view returns (uint256) {
        return uint256(keccak256(abi.encodePacked(p.signature, beacon))) % RELAYS;
    }

    function useAll(Signed memory s, bool good) private {
        fill(alice, mallory, 10 ether);
        use(address(channels), claimOf(7 ether, s.voucher), good, UNSIGNED);
        bytes memory many = abi.encodeCall(channels.claimMany, (mallory.account, record(7 ether, s.voucher)));
        use(address(channels), many, good, UNSIGNED);
        IReceiptCourt.Base memory base = IReceiptCourt.Base(8 ether, 1, s.base);
        bytes memory batch = batchSignature(alice.key, mallory.account, anyBatch(2));
        use(address(court), openingOf(base, anyBatch(2), batch), good, UNSIGNED);
        base.signature = voucher(alice.key, mallory.account, 8 ether, 1);
        if (!good) refused(address(court), openingOf(base, anyBatch(2), s.batch), UNSIGNED);
        use(address(court), equivocationOf(1, s.one, s.two), good, UNSIGNED);
        vm.prank(mallory.account);
        token.approve(address(registry), STAKE);
        bytes memory register = abi.encodeCall(registry.register, (vm.addr(0xDA7E), "link", "host:9", s.consent));
        use(address(registry), register, good, UNSIGNED);
        (bytes32 r, bytes32 vs) = compact(s.pool);
        use(address(pool), abi.encodeCall(pool.claim, (campaign, 1, 9 ether, r, vs)), good, UNSIGNED);
        goTo(PERIOD + 1);
        use(address(pool), redemptionOf(s.pass), good, ISubsidyPool.InvalidPassSignature.selector);
    }

    function use(address target, bytes memory data, bool good, bytes4 reason) private {
        if (good) vm.assertTrue(attempt(target, data));
        else refused(target, data, reason);
    }

    /// @dev Every other form of a signature that fits the same message.
    function test_signature_inOtherForms() public {
        fill(alice, mallory, 10 ether);
        bytes memory signed = pay(alice, mallory, 4 ether);
        (bytes32 r, bytes32 s) = abi.decode(abi.encodePacked(signed, bytes31(0)), (bytes32, bytes32));
        uint8 v = uint8(signed[64]);
        uint256 other = ORDER - uint256(s);
        refused(address(channels), claimOf(4 ether, abi.encodePacked(r, other, 55 - v)), UNSIGNED);
        refused(address(channels), claimOf(4 ether, abi.encodePacked(r, s, v - 27)), UNSIGNED);
        refused(address(channels), claimOf(4 ether, abi.encodePacked(r, other, 28 - v)), UNSIGNED);
        refused(address(channels), claimOf(4 ether, abi.encodePacked(signed, v)), UNSIGNED);
        (bytes32 same, bytes32 vs) = compact(signed);
        refused(address(channels), claimOf(4 ether, abi.encodePacked(same, vs)), UNSIGNED);
        bytes memory head = abi.encodePacked(alice.account, uint96(4 ether), uint32(0), r);
        bytes memory high = abi.encodePacked(head, other);
        refused(address(channels), abi.encodeCall(channels.claimMany, (mallory.account, high)), UNSIGNED);
        high = abi.encodePacked(head, other ^ 1 << 255);
        refused(address(channels), abi.encodeCall(channels.claimMany, (mallory.account, high)), UNSIGNED);
        // Both forms that are good are the same voucher.
        bytes memory good = record(4 ether, signed);
        attempt(
            address(channels), abi.encodeCall(channels.claimMany, (mallory.account, abi.encodePacked(good, good)))
        );
        attempt(address(channels), claimOf(4 ether, signed));
        loot();
    }

    // ---------------------------------------------------------------- vouchers for more, or of others

    /// @dev A payer of Mallory's own signs for all the tokens there are.
    function test_voucher_forMoreThanTheDeposit() public {
        uint256 cold = mallory.key + 1000;
        vm.prank(mallory.account);
        channels.move(mallory.owner, 1 ether);
        vm.prank(mallory.owner);
        channels.fund(mallory.account, 1 ether);
        bytes memory signed = voucher(cold, mallory.account, type(uint96).max, 1);
        bytes memory claim_ =
            abi.encodeCall(channels.claim, (mallory.owner, mallory.account, type(uint96).max, 1, signed));
        attempt(address(channels), claim_);
        attempt(address(channels), claim_);
        judge(cold, mallory.account, type(uint96).max - COURT_COST, 1);
        begin(); // the bond for that was a gift
        attempt(address(channels), abi.encodeCall(channels.claimJudgement, (mallory.owner, mallory.account)));
        vm.warp(block.timestamp + GRACE);
        refused(address(court), collectionOf(mallory.owner), IReceiptCourt.NoStake.selector);
        loot();
    }

    /// @dev Of what is Bob's, Mallory can only have Bob paid.
    function test_voucher_ofAnother() public {
        fill(alice, bob, 10 ether);
        fill(alice, mallory, 10 ether);
        bytes memory signed = pay(alice, bob, 4 ether);
        refused(address(channels), claimOf(4 ether, signed), UNSIGNED);
        bytes memory records = record(4 ether, signed);
        refused(address(channels), abi.encodeCall(channels.claimMany, (mallory.account, records)), UNSIGNED);
        bytes memory claim_ = abi.encodeCall(channels.claim, (bob.account, alice.account, 4 ether, 0, signed));
        refused(address(channels), claim_, UNSIGNED);
        attempt(address(channels), abi.encodeCall(channels.claimMany, (bob.account, records)));
        attempt(address(channels), abi.encodeCall(channels.release, (alice.account)));
        vm.assertEq(channels.balanceOf(bob.account), RICH + 4 ether);
        loot();
    }

    function test_voucher_afterTheClose() public {
        fill(alice, mallory, 10 ether);
        closeNow(alice, mallory.account);
        bytes memory signed = pay(alice, mallory, 4 ether); // carried on no deposit, at her own risk
        begin();
        attempt(address(channels), claimOf(4 ether, signed));
        vm.assertEq(channels.balanceOf(mallory.account), RICH);
        loot();
    }

    function test_shortfallPaidAgainAfterTopUps() public {
        fill(alice, mallory, 4 ether);
        bytes memory claim_ = claimOf(10 ether, pay(alice, mallory, 10 ether));
        uint96[4] memory topUps = [uint96(0), 3 ether, 1 ether, 100 ether];
        for (uint256 i = 0; i < topUps.length; ++i) {
            fill(alice, mallory, topUps[i]);
            attempt(address(channels), claim_);
            attempt(address(channels), claim_);
        }
        (, uint96 claimed,) = channels.channel(alice.account, mallory.account);
        vm.assertEq(claimed, 10 ether);
        loot();
    }

    /// @dev A payer takes back what its payee could still claim.
    function test_payer_closesEarlyOrForOthers() public {
        fill(mallory, bob, 10 ether);
        fill(alice, bob, 10 ether);
        bytes memory signed = pay(mallory, bob, 9 ether);
        bytes memory finish_ = abi.encodeCall(channels.finishClose, (bob.account));
        refused(address(channels), finish_, IChannels.CloseNotRequested.selector);
        attempt(address(channels), abi.encodeCall(channels.requestClose, (bob.account)));
        refused(address(channels), finish_, IChannels.NoticeRunning.selector);
        vm.warp(block.timestamp + NOTICE - 1);
        refused(address(channels), finish_, IChannels.NoticeRunning.selector);
        refused(
            address(channels), abi.encodeCall(channels.fund, (address(0), 0)), IChannels.InvalidRecipient.selector
        );
        attempt(address(channels), abi.encodeCall(channels.release, (alice.account)));
        channels.claim(mallory.account, bob.account, 9 ether, 0, signed);
        vm.warp(block.timestamp + 1);
        attempt(address(channels), finish_);
        vm.assertEq(channels.balanceOf(bob.account), RICH + 9 ether);
        loot();
    }

    /// @dev Payer and payee in one: nothing is made from nothing.
    function test_channelToOneself() public {
        fill(mallory, mallory, 5 ether);
        judge(mallory.key, mallory.account, 3 ether, 1);
        begin();
        bytes memory signed = voucher(mallory.key, mallory.account, 4 ether, 0);
        bytes memory claim_ = abi.encodeCall(channels.claim, (mallory.account, mallory.account, 4 ether, 0, signed));
        for (uint256 i = 0; i < 2; ++i) {
            attempt(address(channels), claim_);
            attempt(address(channels), abi.encodeCall(channels.claimJudgement, (mallory.account, mallory.account)));
            attempt(address(channels), abi.encodeCall(channels.move, (mallory.account, 1 ether)));
            attempt(address(channels), abi.encodeCall(channels.release, (mallory.account)));
            attempt(address(channels), abi.encodeCall(channels.fund, (mallory.account, 5 ether)));
        }
        loot();
    }

    // ---------------------------------------------------------------- the ledger

    function test_ledger_otherPeoplesApprovalsAndPermits() public {
        attempt(address(channels), abi.encodeCall(channels.depositFor, (mallory.owner, 1 ether)));
        attempt(address(channels), abi.encodeCall(channels.depositWithPermit, (1 ether, 0, 27, "r", "s")));
        vm.startPrank(alice.account);
        token.approve(address(channels), 0);
        vm.stopPrank();
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash =
            keccak256(abi.encode(typehash, alice.account, address(channels), 7 ether, 0, block.timestamp));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(alice.key, digest("Mixpay Token", address(token), structHash));
        // She uses Alice's permit up first, and can do nothing with it: Alice's call works all the same.
        token.permit(alice.account, address(channels), 7 ether, block.timestamp, v, r, s);
        attempt(address(channels), abi.encodeCall(channels.depositWithPermit, (7 ether, block.timestamp, v, r, s)));
        vm.prank(alice.account);
        channels.depositWithPermit(7 ether, block.timestamp, v, r, s);
        vm.assertEq(channels.balanceOf(alice.account), RICH + 7 ether);
        loot();
    }

    function test_ledger_fundManyOnCredit() public {
        (address[] memory payees, uint96[] memory amounts) = (new address[](40), new uint96[](40));
        for (uint256 i = 0; i < 40; ++i) {
            (payees[i], amounts[i]) = (vm.addr(i + 1), type(uint96).max);
        }
        refused(
            address(channels),
            abi.encodeCall(channels.fundMany, (payees, amounts)),
            IChannels.InsufficientBalance.selector
        );
        loot();
    }

    /// @dev What only the court may do, and what only the ledger's owners may.
    function test_ledger_asIfSheWereTheCourt() public {
        fill(alice, bob, 10 ether);
        bytes4 reason = IChannels.NotCourt.selector;
        refused(address(channels), abi.encodeCall(channels.takeBond, (alice.account, 1)), reason);
        refused(address(channels), abi.encodeCall(channels.hold, (alice.account, bob.account, 1e12)), reason);
        refused(address(channels), abi.encodeCall(channels.markJudged, (alice.account, bob.account)), reason);
        bytes memory fund = abi.encodeCall(channels.fundFromStake, (mallory.account, mallory.owner, 1));
        refused(address(channels), fund, reason);
        refused(address(registry), abi.encodeCall(registry.slash, (alice.relay, 1)), reason);
        refused(address(registry), abi.encodeCall(registry.condemn, (alice.relay, mallory.account)), reason);
        reason = IChannels.InsufficientBalance.selector;
        refused(address(channels), abi.encodeCall(channels.withdraw, (mallory.owner, RICH + 1)), reason);
        loot();
    }

    /// @dev Tokens that nobody asked for stop nothing, and are nobody's.
    function test_ledger_gifts() public {
        Work memory w = carry(mallory, bob, 5);
        fill(mallory, bob, 1 ether);
        address[4] memory places = [address(channels), address(registry), address(pool), address(court)];
        for (uint256 i = 0; i < 4; ++i) {
            attempt(address(token), abi.encodeCall(token.transfer, (places[i], 1)));
            attempt(address(channels), abi.encodeCall(channels.depositFor, (places[i], 1)));
        }
        win(sue(mallory, bob, w), w);
        channels.claimJudgement(mallory.account, bob.account);
        vm.assertEq(channels.balanceOf(bob.account), RICH + amountOf(w) * HOP_PRICE + COURT_COST);
        vm.prank(bob.account);
        channels.withdraw(bob.owner, RICH);
        vm.assertLe(channels.balanceOf(mallory.account), RICH);
    }

    // ---------------------------------------------------------------- receipts that she does not have

    enum Lie {
        Duplicated,
        Foreign,
        Missing,
        Guessed
    }

    /// @dev Half of the claim is others' receipts, her own once more, or nothing. No seed that a chain has ever drawn helps.
    function testFuzz_court_receiptsThatSheDoesNotHave(bytes32 hash, uint8 lie) public {
        Work memory w = carry(alice, mallory, 24, 12);
        forge(w, 12, Lie(lie % 4));
        IReceiptCourt.Case memory c = sue(alice, mallory, w);
        lose(c, w, hash);
        loot();
    }

    function forge(Work memory w, uint256 opened, Lie lie) private pure {
        Receipts memory others = receiptsOf(w.r.locks.length, 0xF0);
        for (uint256 i = opened; i < w.r.locks.length; ++i) {
            if (lie == Lie.Duplicated) w.r.responses[i] = w.r.responses[i - opened];
            if (lie == Lie.Foreign) w.r.responses[i] = others.responses[i];
            if (lie == Lie.Guessed) w.r.responses[i] = i;
            w.t.receipts[0][i] = keccak256(abi.encodePacked(w.r.responses[i], w.r.values[i]));
            w.t.sums[0][i] = w.r.values[i];
        }
        rejoin(w.t, 1);
    }

    /// @dev She says that the receipts she has are twice as much, in one of the nodes.
    function testFuzz_court_sumsThatDoNotAddUp(bytes32 hash, uint256 level) public {
        Work memory w = carry(alice, mallory, 32, 16);
        level = bound(level, 0, 5);
        uint256 index = uint256(hash) % w.t.sums[level].length;
        w.t.sums[level][index] += uint64(amountOf(w));
        rejoin(w.t, level + 1);
        lose(sue(alice, mallory, w), w, hash);
        loot();
    }

    /// @dev Sums beyond 64 bits, totals beyond 96.
    function test_court_sumsThatOverflow() public {
        Work memory w = carry(alice, mallory, 16);
        w.t.sums[3][0] = type(uint64).max; // with the other half: a few
        rejoin(w.t, 4);
        vm.assertTrue(amountOf(w) < 40);
        w.t.sums[4][0] = type(uint64).max;
        (w.batch.value, w.batch.price) = (type(uint64).max, type(uint96).max);
        bytes memory signed = batchSignature(alice.key, mallory.account, w.batch);
        bytes memory open_ = abi.encodeCall(
            court.open,
            (alice.account, IReceiptCourt.Base(0, 0, ""), w.batch, signed, w.t.receipts[4][0], type(uint64).max)
        );
        refused(address(court), open_, IReceiptCourt.TotalTooLarge.selector);
        loot();
    }

    /// @dev One unit more than the batch is worth: most draws would not find it, and Alice, who owes less, could neither answer
    /// nor admit it, but would have the costs to bear. It is no case; what the tickets are worth she can always admit.
    function test_court_aUnitTooMuch() public {
        fill(alice, mallory, 10 ether);
        Work memory w = carry(alice, mallory, 100);
        uint256 last = w.t.sums[0].length - 1; // a place behind the last ticket, where no lock stands
        (w.t.sums[0][last], w.t.receipts[0][last]) = (1, keccak256("nothing"));
        rejoin(w.t, 1);
        bytes memory signed = batchSignature(alice.key, mallory.account, w.batch);
        bytes memory open_ = openingOf(IReceiptCourt.Base(0, 0, ""), w.batch, signed, w.batch.value + 1);
        refused(address(court), open_, IReceiptCourt.ExceedsBatch.selector);
        w.batch.value += 1;
        open_ = openingOf(IReceiptCourt.Base(0, 0, ""), w.batch, signed, w.batch.value);
        refused(address(court), open_, UNSIGNED);
        loot();
    }

    /// @dev Looking at the seed first, and giving up where it is bad: each time that costs the bond.
    function test_court_selectiveAbort() public {
        Work memory w = carry(alice, mallory, 24, 18);
        forge(w, 18, Lie.Guessed);
        for (uint256 i = 0; i < 6; ++i) {
            IReceiptCourt.Case memory c = sue(alice, mallory, w);
            vm.roll(c.openBlock + (i % 2 == 0 ? 261 : 5));
            if (i % 2 == 1) {
                court.record(c);
                vm.warp(c.openedAt + ANSWER_WINDOW + FINISH_WINDOW);
            }
            vm.prank(alice.account);
            court.expire(c);
        }
        vm.assertEq(channels.balanceOf(alice.account), RICH + 6 * bondOf(uint64(amountOf(w)), HOP_PRICE));
        loot();
    }

    /// @dev For every share of a claim that can be forged: trying until it passes costs more in bonds than it brings.
    function test_court_abortingDoesNotPay() public pure {
        uint64 amount = 1_000_000;
        for (uint256 share = 1; share < 100; ++share) {
            uint256 passes = 1e18; // the chance, in 10^-18
            for (uint256 point = 0; point < 16; ++point) {
                passes = passes * (100 - share) / 100;
            }
            uint256 gain = amount * share / 100;
            uint256 bonds = passes == 0 ? type(uint96).max : (1e18 - passes) * bondOf(amount, 1) / passes;
            vm.assertTrue(bonds > gain);
        }
    }

    /// @dev A new seed without losing the bond: from another opening in the same block, by an answer, by recording late.
    function test_court_redraw() public {
        Work memory w = carry(alice, mallory, 24, 12);
        forge(w, 12, Lie.Guessed);
        IReceiptCourt.Case memory c = sue(alice, mallory, w);
        bytes32 root = w.t.receipts[5][0];
        bytes memory signed = batchSignature(alice.key, mallory.account, w.batch);
        bytes memory again = abi.encodeCall(
            court.open, (alice.account, IReceiptCourt.Base(0, 0, ""), w.batch, signed, root, uint64(amountOf(w)))
        );
        refused(address(court), again, IReceiptCourt.CaseOpen.selector);
        uint96 total = owed[alice.account][mallory.account];
        signed = voucher(alice.key, mallory.account, total, 1);
        bytes memory answer = abi.encodeCall(court.answer, (c, total, 1, signed));
        refused(address(court), answer, IReceiptCourt.InsufficientAnswer.selector);
        vm.roll(c.openBlock + 5);
        court.record(c);
        for (uint256 i = 6; i < 270; i += 44) {
            vm.roll(c.openBlock + i);
            refused(address(court), abi.encodeCall(court.record, (c)), IReceiptCourt.SeedRecorded.selector);
            refused(address(court), again, IReceiptCourt.CaseOpen.selector);
            refused(address(court), abi.encodeCall(court.expire, (c)), IReceiptCourt.CaseRunning.selector);
        }
        vm.warp(c.openedAt + ANSWER_WINDOW + FINISH_WINDOW);
        court.expire(c);
        loot();
    }

    /// @dev The same by a voucher up to a later batch, which gives the bond back: then the batch is judged, and never drawn again.
    function test_court_redrawByALaterVoucher() public {
        Work memory w1 = carry(alice, mallory, 24, 18);
        Work memory w2 = carry(alice, mallory, 24);
        (uint96 total, bytes memory signed) = settle(alice, mallory, w2);
        forge(w1, 18, Lie.Guessed);
        IReceiptCourt.Case memory c = sue(alice, mallory, w1, IReceiptCourt.Base(0, 0, ""));
        draw(c);
        attempt(address(court), abi.encodeCall(court.answer, (c, total, 2, signed)));
        vm.assertEq(court.judgement(alice.account, mallory.account).total, total);
        refuseBase(w1, IReceiptCourt.Base(0, 0, ""), IReceiptCourt.AlreadyJudged.selector);
        refuseBase(w2, IReceiptCourt.Base(0, 0, ""), IReceiptCourt.AlreadyJudged.selector);
        loot();
    }

    // ---------------------------------------------------------------- what a claim builds on

    /// @dev Totals of other batches, of other channels, of other judgements: each would have the same packets paid twice.
    function test_court_foreignBase() public {
        Work memory w1 = carry(alice, mallory, 5);
        Work memory w2 = carry(alice, mallory, 5);
        Work memory other = carry(bob, mallory, 90);
        (uint96 total1, bytes memory signed1) = settle(alice, mallory, w1);
        (uint96 total2, bytes memory signed2) = settle(alice, mallory, w2);
        (uint96 total3, bytes memory signed3) = settle(bob, mallory, other);
        bytes4 invalid = IReceiptCourt.InvalidBase.selector;
        refuseBase(w1, IReceiptCourt.Base(total1, 1, signed1), invalid);
        refuseBase(w1, IReceiptCourt.Base(total1, 0, signed1), UNSIGNED);
        refuseBase(w1, IReceiptCourt.Base(total2, 0, signed2), UNSIGNED);
        refuseBase(w2, IReceiptCourt.Base(total2, 2, signed2), invalid);
        refuseBase(w2, IReceiptCourt.Base(total2, 1, signed2), UNSIGNED);
        refuseBase(w2, IReceiptCourt.Base(total3, 1, signed3), UNSIGNED);
        refuseBase(w1, IReceiptCourt.Base(total1, 0, ""), invalid);
        refuseBase(w2, IReceiptCourt.Base(total1, 1, ""), invalid);
        reply(bob, mallory, sue(bob, mallory, other), other);
        refuseBase(w2, IReceiptCourt.Base(total3, 1, ""), invalid);
        reply(alice, mallory, sue(alice, mallory, w2), w2);
        refuseBase(w2, IReceiptCourt.Base(total2, 1, ""), IReceiptCourt.AlreadyJudged.selector);
        refuseBase(w2, IReceiptCourt.Base(total2, 2, ""), invalid);
        w2.batch.number = 0;
        refuseBase(w2, IReceiptCourt.Base(total2, 0, signed2), invalid);
        loot();
    }

    /// @dev A base of any batch before, skipping others: what is skipped she is not paid, and nothing twice.
    function test_court_skippedBatches() public {
        fill(alice, mallory, 10 ether);
        Work memory w1 = carry(alice, mallory, 5);
        Work memory w2 = carry(alice, mallory, 6);
        Work memory w3 = carry(alice, mallory, 7);
        (uint96 total1, bytes memory signed1) = settle(alice, mallory, w1);
        uint96 judged = total1 + amountOf(w3) * HOP_PRICE + COURT_COST;
        win(sue(alice, mallory, w3, IReceiptCourt.Base(total1, 1, signed1)), w3);
        vm.assertEq(court.judgement(alice.account, mallory.account).total, judged);
        attempt(address(channels), abi.encodeCall(channels.claimJudgement, (alice.account, mallory.account)));
        // Upon that judgement, which covers them, the others are paid no more; and once the costs are the payer's, neither is
        // anything by what was signed.
        (bytes4 invalid, bytes4 over) = (IReceiptCourt.InvalidBase.selector, IReceiptCourt.AlreadyJudged.selector);
        for (uint32 upto = 0; upto < 4; ++upto) {
            refuseBase(w1, IReceiptCourt.Base(judged, upto, ""), upto < 1 ? over : invalid);
            refuseBase(w2, IReceiptCourt.Base(judged, upto, ""), upto < 2 ? over : invalid);
            refuseBase(w3, IReceiptCourt.Base(judged, upto, ""), upto < 3 ? over : invalid);
        }
        (uint96 total2, bytes memory signed2) = settle(alice, mallory, w2);
        refuseBase(w3, IReceiptCourt.Base(total2, 2, signed2), over);
        // The costs of an absence, less the batch that she skipped.
        uint96 right = owed[alice.account][mallory.account] - amountOf(w2) * HOP_PRICE + COURT_COST;
        (, uint96 claimed,) = channels.channel(alice.account, mallory.account);
        vm.assertEq(claimed, right);
    }

    /// @dev Everything was settled, and paid but for a unit. A case about the first batch claims all that was ever signed for,
    /// and the newest voucher answers it: as a judgement of the first batch, that would have all others paid once more.
    function test_court_everyBatchTwice() public {
        fill(alice, mallory, 10 ether);
        Work[3] memory works = [carry(alice, mallory, 24, 1), carry(alice, mallory, 8), carry(alice, mallory, 8)];
        (uint96 total, bytes memory newest) = settle(alice, mallory, works[2]);
        (uint96 paid, bytes memory signed) = settle(alice, mallory, works[1]);
        channels.claim(alice.account, mallory.account, paid, 2, signed);
        for (uint256 i = 0; i < 2; ++i) {
            uint64[] memory top = works[0].t.sums[works[0].t.sums.length - 1];
            uint64 right = top[0];
            top[0] = uint64(total / HOP_PRICE);
            IReceiptCourt.Case memory c = sue(alice, mallory, works[0]);
            top[0] = right;
            if (i == 0) {
                reply(alice, mallory, c, works[2]); // Alice answers, so it costs her nothing, and has to be proven
                lose(c, works[0], bytes32("any"));
            } else {
                attempt(address(court), abi.encodeCall(court.answer, (c, total, 3, newest))); // she answers herself
            }
            vm.assertEq(court.judgement(alice.account, mallory.account).total, i == 0 ? 0 : total);
            for (uint32 upto = 1; upto < 3; ++upto) {
                bytes4 reason = i == 0 ? IReceiptCourt.InvalidBase.selector : IReceiptCourt.AlreadyJudged.selector;
                refuseBase(works[upto], IReceiptCourt.Base(total, upto, ""), reason);
            }
        }
        attempt(address(channels), abi.encodeCall(channels.claimJudgement, (alice.account, mallory.account)));
        loot();
    }

    function refuseBase(Work memory w, IReceiptCourt.Base memory base, bytes4 reason) private {
        bytes memory signed = batchSignature(alice.key, mallory.account, w.batch);
        refused(address(court), openingOf(base, w.batch, signed), reason);
    }

    /// @dev The batch grows, and the payer signs it each time. It is one batch, and judged once.
    function test_court_batchThatGrew() public {
        fill(alice, mallory, 10 ether);
        Work memory whole = carry(alice, mallory, 8);
        Receipts memory r = receiptsOf(4, 7);
        Trees memory t = treesOf(r);
        (IReceiptCourt.Batch memory batch,,) = batchOf(t, 1, 4);
        reply(alice, mallory, sue(alice, mallory, Work(batch, r, t, 0)), whole);
        refuseBase(Work(batch, r, t, 0), IReceiptCourt.Base(0, 0, ""), IReceiptCourt.AlreadyJudged.selector);
        refuseBase(whole, IReceiptCourt.Base(0, 0, ""), IReceiptCourt.AlreadyJudged.selector);
        attempt(address(channels), abi.encodeCall(channels.claimJudgement, (alice.account, mallory.account)));
        vm.assertEq(court.judgement(alice.account, mallory.account).total, owed[alice.account][mallory.account]);
        loot();
    }

    // ---------------------------------------------------------------- payers that sign

    /// @dev Case after case against a payer that has signed: it answers, and has lost nothing.
    function test_court_againstAPayerThatSigns() public {
        fill(alice, mallory, 10 ether);
        Work memory w1 = carry(alice, mallory, 5);
        Work memory w2 = carry(alice, mallory, 7);
        Work memory w3 = carry(alice, mallory, 3);
        Work[3] memory works = [w1, w2, w3];
        for (uint256 i = 0; i < 3; ++i) {
            IReceiptCourt.Case memory c = sue(alice, mallory, works[i]); // an old one too, while there is a newer voucher
            if (i != 0) vm.roll(c.openBlock + 5);
            vm.warp(c.openedAt + (i == 0 ? 0 : ANSWER_WINDOW - 1));
            reply(alice, mallory, c, i == 0 ? w3 : works[i]);
            if (i == 0) win(c, w1); // what Alice has signed for more batches than it covers ends no case
            refuseBase(works[i], IReceiptCourt.Base(0, 0, ""), IReceiptCourt.AlreadyJudged.selector);
        }
        attempt(address(channels), abi.encodeCall(channels.claimJudgement, (alice.account, mallory.account)));
        vm.assertEq(court.judgement(alice.account, mallory.account).total, owed[alice.account][mallory.account]);
        loot();
    }

    /// @dev Many at once: for other payees, by her other account, twice against the same payer, against several.
    function test_court_manyAtOnce() public {
        Work memory w = carry(alice, mallory, 5);
        Work memory b = carry(bob, mallory, 5);
        bytes memory signed = batchSignature(alice.key, mallory.account, w.batch);
        bytes memory open_ = openingOf(IReceiptCourt.Base(0, 0, ""), w.batch, signed);
        vm.prank(mallory.account);
        channels.move(mallory.owner, 1 ether);
        vm.prank(mallory.owner);
        (bool done,) = address(court).call(open_);
        vm.assertFalse(done);
        IReceiptCourt.Case memory one = sue(alice, mallory, w);
        IReceiptCourt.Case memory two = sue(bob, mallory, b);
        refused(address(court), open_, IReceiptCourt.CaseOpen.selector);
        (one.payer, two.payer) = (two.payer, one.payer);
        refused(address(court), abi.encodeCall(court.expire, (one)), IReceiptCourt.NoCase.selector);
        (one.payer, two.payer) = (two.payer, one.payer);
        reply(alice, mallory, one, w);
        reply(bob, mallory, two, b);
        loot();
    }

    /// @dev She answers her own case, with what Alice has signed: that is what she is owed, and not what she claims.
    function test_payee_answersItself() public {
        fill(alice, mallory, 10 ether);
        Work memory w = carry(alice, mallory, 24, 12);
        (uint96 total, bytes memory signed) = settle(alice, mallory, w);
        Work memory lie = Work(w.batch, w.r, treesOf(w.r), w.base);
        forge(lie, 12, Lie.Duplicated);
        IReceiptCourt.Case memory more = sue(alice, mallory, lie);
        bytes memory answer = abi.encodeCall(court.answer, (more, total, 1, signed));
        refused(address(court), answer, IReceiptCourt.InsufficientAnswer.selector);
        lose(more, lie, bytes32("any"));
        IReceiptCourt.Case memory honest = sue(alice, mallory, w);
        attempt(address(court), abi.encodeCall(court.answer, (honest, total, 1, signed)));
        attempt(address(channels), abi.encodeCall(channels.claimJudgement, (alice.account, mallory.account)));
        loot();
    }

    /// @dev In any order: vouchers, cases about any batch upon any base, with true and inflated claims, judgements, stakes,
    /// releases. Alice answers what she has signed for, and funds her channel.
    function testFuzz_payee_mixesVouchersAndJudgements(uint256 order) public {
        Work[3] memory works =
            [carry(alice, mallory, 24, 3), carry(alice, mallory, 24, 6), carry(alice, mallory, 24, 4)];
        fill(alice, mallory, uint96(order % 20) * HOP_PRICE);
        for (uint256 i = 0; i < 14; ++i) {
            uint256 choice = uint256(keccak256(abi.encode(order, i)));
            Work memory w = works[choice % 3];
            choice = choice / 3 % 8;
            if (choice < 2) {
                (uint96 total, bytes memory signed) = settle(alice, mallory, w);
                channels.claim(alice.account, mallory.account, total, w.batch.number, signed);
            } else if (choice < 5) {
                suit(w, works[2], choice == 3, choice == 4, order >> (8 + i));
            } else if (choice == 5) {
                attempt(address(channels), abi.encodeCall(channels.claimJudgement, (alice.account, mallory.account)));
            } else if (choice == 6) {
                attempt(address(channels), abi.encodeCall(channels.release, (alice.account)));
            }
            topUp();
            attempt(address(court), collectionOf(alice.account));
        }
        (, uint96 claimed,) = channels.channel(alice.account, mallory.account);
        vm.assertLe(claimed, owed[alice.account][mallory.account]);
        vm.assertEq(registry.relay(alice.relay).withdrawableAt, 0);
        loot();
    }

    function suit(Work memory w, Work memory last, bool uponJudgement, bool inflated, uint256 more) private {
        IReceiptCourt.Base memory base;
        IReceiptCourt.Judgement memory judged = court.judgement(alice.account, mallory.account);
        (base.total, base.uptoBatch) = (w.base, w.base == 0 ? 0 : w.batch.number - 1);
        if (uponJudgement && judged.number < w.batch.number) {
            (base.total, base.uptoBatch) = (judged.total, judged.number);
        } else if (w.base != 0) {
            base.signature = voucher(alice.key, mallory.account, w.base, w.batch.number - 1);
        }
        uint64[] memory top = w.t.sums[w.t.sums.length - 1];
        uint64 right = top[0];
        if (inflated) {
            // All that Alice has signed for, or a unit more.
            uint64 all = uint64((owed[alice.account][mallory.account] - base.total) / HOP_PRICE);
            top[0] = all == 0 ? 1 : all + uint64(more % 2);
        }
        if (judged.number >= w.batch.number) {
            top[0] = right;
            return refuseBase(w, base, IReceiptCourt.AlreadyJudged.selector);
        }
        (, uint96 paid,) = channels.channel(alice.account, mallory.account);
        if (base.total + top[0] * HOP_PRICE <= paid) {
            top[0] = right;
            return refuseBase(w, base, IReceiptCourt.NothingClaimed.selector);
        }
        IReceiptCourt.Case memory c = sue(alice, mallory, w, base);
        top[0] = right;
        bool answered = base.total + c.amount * HOP_PRICE <= owed[alice.account][mallory.account];
        if (answered) reply(alice, mallory, c, last);
        if (!answered) lose(c, w, bytes32("any"));
        else if (w.batch.number != last.batch.number) endAdmitted(c, w, last, inflated, more);
    }

    /// @dev She proves it, shows what Alice has signed, or has to let it go.
    function endAdmitted(IReceiptCourt.Case memory c, Work memory w, Work memory last, bool inflated, uint256 more)
        private
    {
        (uint96 total, bytes memory signed) = settle(alice, mallory, last);
        if (more % 3 == 0) {
            attempt(address(court), abi.encodeCall(court.answer, (c, total, last.batch.number, signed)));
        } else if (inflated) {
            lose(c, w, bytes32("any"));
        } else {
            win(c, w);
        }
    }

    function topUp() private {
        (uint96 deposited,,) = channels.channel(alice.account, mallory.account);
        uint96 judged = court.judgement(alice.account, mallory.account).total;
        if (judged > deposited) fill(alice, mallory, judged - deposited);
    }

    /// @dev An old batch, for the costs or to hold a close, while its payer is away: it has claimed for her before it went.
    function test_payee_suesForWhatIsPaid() public {
        fill(alice, mallory, 10 ether);
        Work memory w1 = carry(alice, mallory, 5);
        Work memory w2 = carry(alice, mallory, 5);
        (uint96 total, bytes memory signed) = settle(alice, mallory, w2);
        vm.prank(alice.account);
        channels.claim(alice.account, mallory.account, total, 2, signed);
        vm.prank(alice.account);
        channels.requestClose(mallory.account);
        refuseBase(w1, IReceiptCourt.Base(0, 0, ""), IReceiptCourt.NothingClaimed.selector);
        (total, signed) = settle(alice, mallory, w1);
        refuseBase(w2, IReceiptCourt.Base(total, 1, signed), IReceiptCourt.NothingClaimed.selector);
        vm.warp(block.timestamp + NOTICE);
        vm.prank(alice.account);
        channels.finishClose(mallory.account);
        loot();
    }

    /// @dev Gives her payer everything back, and then goes to court with an old voucher, for the payer's stake and place. A
    /// payer that looks at its judgements has the grace to fill the channel with what it got back.
    function test_payee_releasesAndSuesAfterwards() public {
        fill(alice, mallory, 10 ether);
        Work memory w = carry(alice, mallory, 5);
        attempt(address(channels), abi.encodeCall(channels.release, (alice.account)));
        (uint96 total, bytes memory signed) = settle(alice, mallory, w);
        IReceiptCourt.Case memory c = sue(alice, mallory, w);
        attempt(address(court), abi.encodeCall(court.answer, (c, total, 1, signed)));
        refused(address(court), collectionOf(alice.account), IReceiptCourt.GraceRunning.selector);
        vm.warp(block.timestamp + GRACE - 1);
        topUp();
        vm.warp(block.timestamp + 1);
        refused(address(court), collectionOf(alice.account), IReceiptCourt.NothingLacking.selector);
        vm.assertEq(registry.relay(alice.relay).withdrawableAt, 0);
        loot();
    }

    // ---------------------------------------------------------------- payers that do not

    /// @dev Mallory pays, and does whatever could void what she owes: submits her own vouchers in any order, closes, takes her
    /// money out, leaves, answers too little, ends cases. Bob gets all of it, from her channel or her stake.
    function testFuzz_payer_voidsHerPayeesRights(uint256 order) public {
        fill(mallory, bob, uint96(order % 40) * HOP_PRICE);
        Work[3] memory works = [carry(mallory, bob, 3), carry(mallory, bob, 6), carry(mallory, bob, 9)];
        obstruct(order, 0, works);
        IReceiptCourt.Case memory c = sue(mallory, bob, works[2]); // the last batch has no voucher
        obstruct(order, 4, works);
        vm.roll(c.openBlock + 5);
        court.record(c);
        bytes32 seed = blockhash(c.openBlock + 4);
        endEarly(c, works);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        obstruct(order, 8, works);
        court.finish(c, samplesOf(works[2].r, works[2].t, seed));
        obstruct(order, 12, works);
        vm.warp(block.timestamp + GRACE);
        channels.claimJudgement(mallory.account, bob.account);
        (uint96 deposited, uint96 claimed,) = channels.channel(mallory.account, bob.account);
        uint96 total = court.judgement(mallory.account, bob.account).total;
        if (deposited < total) court.collectStake(mallory.account, bob.account);
        (, claimed,) = channels.channel(mallory.account, bob.account);
        vm.assertEq(claimed, owed[mallory.account][bob.account] + COURT_COST);
        loot();
    }

    /// @dev Four things that she can do, of all. Bob sues before her notice is over.
    function obstruct(uint256 order, uint256 from, Work[3] memory works) private {
        for (uint256 i = from; i < from + 4; ++i) {
            uint256 choice = uint256(keccak256(abi.encode(order, i)));
            (uint96 total, bytes memory signed) = settle(mallory, bob, works[choice % 2]);
            uint32 number = works[choice % 2].batch.number;
            choice = choice / 2 % 7;
            if (choice < 2) channels.claim(mallory.account, bob.account, total, number, signed);
            if (choice == 2) attempt(address(channels), abi.encodeCall(channels.requestClose, (bob.account)));
            if (choice == 3) attempt(address(channels), abi.encodeCall(channels.finishClose, (bob.account)));
            if (choice == 4) attempt(address(channels), abi.encodeCall(channels.fund, (bob.account, HOP_PRICE)));
            uint96 balance = uint96(channels.balanceOf(mallory.account));
            if (choice == 5) attempt(address(channels), abi.encodeCall(channels.withdraw, (mallory.owner, balance)));
            if (choice != 6) continue;
            vm.prank(mallory.owner);
            (bool done,) = address(registry).call(abi.encodeCall(registry.leave, (mallory.relay)));
            done;
        }
    }

    function endEarly(IReceiptCourt.Case memory c, Work[3] memory works) private {
        refused(address(court), abi.encodeCall(court.expire, (c)), IReceiptCourt.CaseRunning.selector);
        refused(address(court), abi.encodeCall(court.finish, (c, "")), IReceiptCourt.OutsideFinishWindow.selector);
        for (uint256 i = 0; i < 2; ++i) {
            (uint96 total, bytes memory signed) = settle(mallory, bob, works[i]);
            bytes memory answer = abi.encodeCall(court.answer, (c, total, works[i].batch.number, signed));
            refused(address(court), answer, IReceiptCourt.InsufficientAnswer.selector);
        }
    }

    /// @dev An answer far ahead, so that Bob has nothing for the batch after this one to build on. He proves this one: it is his
    /// base then, and spares her no more than the costs.
    function test_payer_answersForTheFuture() public {
        Work memory w1 = carry(mallory, bob, 3);
        Work memory w2 = carry(mallory, bob, 4);
        uint32 far = type(uint32).max;
        uint96 total = w2.base;
        bytes memory signed = voucher(mallory.key, bob.account, total, far);
        IReceiptCourt.Case memory c = sue(mallory, bob, w1);
        attempt(address(court), abi.encodeCall(court.answer, (c, total, far, signed)));
        channels.claim(mallory.account, bob.account, total, far, signed);
        win(c, w1);
        c = sue(mallory, bob, w2, IReceiptCourt.Base(w2.base, 1, "")); // upon the judgement
        win(c, w2);
        vm.warp(block.timestamp + GRACE);
        vm.assertEq(court.collectStake(mallory.account, bob.account), total + amountOf(w2) * HOP_PRICE + COURT_COST);
        loot();
    }

    /// @dev Each time she is sued she signs in the last second, and never before: Bob has his money, and his bond. A second
    /// later, when Bob proves his case, it is too late, also for who puts her answer before his proof in the same block.
    function test_payer_signsInTheLastSecond() public {
        fill(mallory, bob, 10 ether);
        for (uint256 i = 0; i < 3; ++i) {
            Work memory w = carry(mallory, bob, 4);
            IReceiptCourt.Case memory c = sue(mallory, bob, w);
            bytes32 seed = draw(c);
            vm.warp(c.openedAt + ANSWER_WINDOW - 1);
            if (i != 2) {
                reply(mallory, bob, c, w);
            } else {
                (uint96 total, bytes memory signed) = settle(mallory, bob, w);
                vm.warp(c.openedAt + ANSWER_WINDOW);
                bytes memory answer = abi.encodeCall(court.answer, (c, total, w.batch.number, signed));
                refused(address(court), answer, IReceiptCourt.AnswerWindowOver.selector);
                court.finish(c, samplesOf(w.r, w.t, seed));
                owed[mallory.account][bob.account] += COURT_COST; // what it costs her
            }
            channels.claimJudgement(mallory.account, bob.account);
        }
        vm.assertEq(channels.balanceOf(bob.account), RICH + owed[mallory.account][bob.account]);
        loot();
    }

    // ---------------------------------------------------------------- exits

    /// @dev Cases about dust, at the last second of a notice, again and again: one case long, no longer.
    function test_exit_heldByDust() public {
        fill(alice, mallory, 10 ether);
        vm.prank(alice.account);
        channels.requestClose(mallory.account);
        uint256 requestedAt = block.timestamp;
        for (uint256 i = 0; i < 4; ++i) {
            (,, uint40 closesAt) = channels.channel(alice.account, mallory.account);
            vm.warp(closesAt - 1);
            Work memory w = carry(alice, mallory, 1); // each needs a batch that was signed and not judged
            reply(alice, mallory, sue(alice, mallory, w), w);
            vm.warp(closesAt);
            w = carry(alice, mallory, 1);
            IReceiptCourt.Case memory late = sue(alice, mallory, w);
            (,, uint40 due) = channels.channel(alice.account, mallory.account);
            if (i != 0) vm.assertEq(due, closesAt);
            reply(alice, mallory, late, w);
        }
        vm.assertEq(block.timestamp, requestedAt + NOTICE - 1 + ANSWER_WINDOW + FINISH_WINDOW);
        vm.prank(alice.account);
        channels.finishClose(mallory.account);
        loot();
    }

    /// @dev With a case still open too, whose judgement then is the stake's affair.
    function test_exit_withACaseOpen() public {
        fill(alice, mallory, 10 ether);
        Work memory w = carry(alice, mallory, 24, 12);
        vm.prank(alice.account);
        channels.requestClose(mallory.account);
        (,, uint40 closesAt) = channels.channel(alice.account, mallory.account);
        vm.warp(closesAt);
        forge(w, 12, Lie.Missing);
        IReceiptCourt.Case memory c = sue(alice, mallory, w);
        vm.prank(alice.account);
        channels.finishClose(mallory.account);
        lose(c, w, bytes32("any"));
        loot();
    }

    /// @dev She registers, changes and leaves right before Alice does: nobody's call depends on anybody else's.
    function test_exit_frontRun() public {
        uint256 before = leaveCosts();
        give(mallory.owner, address(registry), 300 * uint256(STAKE));
        for (uint256 i = 0; i < 256; ++i) {
            join(mallory.owner, 0x5EED + i);
        }
        vm.startPrank(mallory.owner);
        registry.update(mallory.relay, "other", "host:2");
        registry.leave(mallory.relay);
        vm.stopPrank();
        uint256 later = leaveCosts();
        vm.assertLe(later, before + 60_000); // seven levels more; it grows with the logarithm
        vm.startPrank(alice.owner);
        registry.leave(alice.relay);
        vm.warp(block.timestamp + UNBONDING);
        registry.withdrawStake(alice.relay, alice.owner);
        vm.stopPrank();
        vm.assertEq(token.balanceOf(alice.owner), RICH + STAKE);
    }

    /// @dev Gas of leaving, for a relay that has just come.
    function leaveCosts() private returns (uint256 gas) {
        address dave = address(0xDA7E);
        give(dave, address(registry), STAKE);
        uint32 id = join(dave, uint256(keccak256(abi.encode(registry.count(), registry.root()))));
        vm.startPrank(dave);
        gas = gasleft();
        registry.leave(id);
        gas -= gasleft();
        vm.stopPrank();
    }

    /// @dev Ways to keep Alice's stake from her, or to have it.
    function test_exit_ofAnothersStake() public {
        vm.prank(alice.owner);
        registry.leave(alice.relay);
        bytes4 notOwner = IRelayRegistry.NotOwner.selector;
        refused(address(registry), abi.encodeCall(registry.leave, (bob.relay)), notOwner);
        refused(
            address(registry), abi.encodeCall(registry.transferOwnership, (alice.relay, mallory.account)), notOwner
        );
        refused(
            address(registry),
            abi.encodeCall(registry.acceptOwnership, (alice.relay)),
            IRelayRegistry.NotPendingOwner.selector
        );
        vm.warp(block.timestamp + UNBONDING);
        bytes memory withdraw = abi.encodeCall(registry.withdrawStake, (alice.relay, mallory.account));
        refused(address(registry), withdraw, notOwner);
        bytes memory settle_ = abi.encodeCall(registry.settlePenalty, (alice.relay));
        refused(address(registry), settle_, IRelayRegistry.NotCondemned.selector);
        refused(address(court), collectionOf(alice.account), IReceiptCourt.NothingLacking.selector);
        vm.prank(alice.owner);
        registry.withdrawStake(alice.relay, alice.owner);
        loot();
    }

    // ---------------------------------------------------------------- registration, draws

    /// @dev She sees Dave's registration under way, with his operator's consent, and is first.
    function test_registration_frontRun() public {
        address dave = address(0xDA7E);
        give(dave, address(registry), STAKE);
        bytes memory signed = consent(0xDA7E2, dave);
        bytes memory same = abi.encodeCall(registry.register, (vm.addr(0xDA7E2), "link", "host:4", signed));
        refused(address(registry), same, UNSIGNED);
        // Nor does it help to take Dave's contact, or the next place in the tree.
        join(mallory.owner, 0x5EED);
        vm.prank(dave);
        vm.assertEq(registry.register(vm.addr(0xDA7E2), "link", "host:4", signed), 5);
        refused(address(registry), same, IRelayRegistry.OperatorUsed.selector);
        loot();
    }

    /// @dev A key that is not hers, without consent, or with one for another: neither before nor after its owner uses it.
    function test_registration_ofAnothersKey() public {
        address key = vm.addr(0xDA7E2);
        bytes[3] memory signatures = [bytes(""), consent(0x5EED, mallory.account), consent(0xDA7E2, alice.owner)];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory squat = abi.encodeCall(registry.register, (key, "link", "host:4", signatures[i]));
            refused(address(registry), squat, UNSIGNED);
        }
        bytes memory nobody = abi.encodeCall(registry.register, (address(0), "link", "host:4", new bytes(65)));
        refused(address(registry), nobody, UNSIGNED);
        bytes memory again =
            abi.encodeCall(registry.register, (alice.account, "link", "host:4", consent(alice.key, mallory.account)));
        refused(address(registry), again, IRelayRegistry.OperatorUsed.selector);
        bytes4 reason = IRelayRegistry.NotOwnerOrOperator.selector;
        refused(address(registry), abi.encodeCall(registry.update, (alice.relay, "link", "host:4")), reason);
        loot();
    }

    /// @dev Passes of an epoch draw among those who stood there before its beacon was drawn.
    function test_registration_afterTheDraw() public {
        goTo(8);
        registry.freeze();
        (bytes32 root, uint32 count, bytes32 beacon) = registry.frozen(9);
        join(mallory.owner, 0x5EED);
        vm.prank(mallory.owner);
        registry.leave(mallory.relay);
        join(mallory.owner, 0x5EED2);
        vm.prevrandao("another");
        attempt(address(registry), abi.encodeCall(registry.freeze, ()));
        (bytes32 sameRoot, uint32 sameCount, bytes32 sameBeacon) = registry.frozen(9);
        vm.assertTrue(root == sameRoot && count == sameCount && beacon == sameBeacon);
        refused(
            address(pool),
            abi.encodeCall(pool.setKey, (campaign, ENTRY, 9, keccak256("key"))),
            ISubsidyPool.NotSponsorOrSigner.selector
        );
        bytes4 late = ISubsidyPool.KeyTooLate.selector;
        vm.prank(carol.account);
        vm.expectRevert(abi.encodeWithSelector(late, 9));
        pool.setKey(campaign, ENTRY, 9, keccak256("key"));
        loot();
    }

    // ---------------------------------------------------------------- equivocation

    /// @dev Alice's two descriptors for two epochs, one with a changed signature, one by Mallory: proof of nothing.
    function test_equivocation_ofAnHonestRelay() public {
        bytes memory one = descriptor(alice.key, alice.relay, 1, "a");
        bytes memory next = descriptor(alice.key, alice.relay, 2, "b");
        bytes memory hers = descriptor(mallory.key, alice.relay, 1, "b");
        refused(address(court), equivocationOf(1, one, next), UNSIGNED);
        refused(address(court), equivocationOf(1, one, hers), UNSIGNED);
        refused(address(court), equivocationOf(1, one, one), UNSIGNED);
        bytes32[2] memory keys = [bytes32("a"), "a"];
        bytes memory same = abi.encodeCall(court.proveEquivocation, (alice.relay, 1, keys, one, one));
        refused(address(court), same, IReceiptCourt.SameKey.selector);
        vm.assertEq(registry.relay(alice.relay).withdrawableAt, 0);
        loot();
    }

    /// @dev Reporting herself, from another account, she gets a twentieth of what it costs her.
    function test_equivocation_reportedByHerself() public {
        bytes memory one = descriptor(mallory.key, mallory.relay, 1, "a");
        bytes memory two = descriptor(mallory.key, mallory.relay, 1, "b");
        bytes32[2] memory keys = [bytes32("a"), "b"];
        attempt(address(court), abi.encodeCall(court.proveEquivocation, (mallory.relay, 1, keys, one, two)));
        vm.warp(block.timestamp + UNBONDING);
        vm.startPrank(mallory.owner);
        registry.withdrawStake(mallory.relay, mallory.owner);
        registry.settlePenalty(mallory.relay);
        vm.stopPrank();
        vm.assertEq(uint256(worth(3)), 3 * uint256(RICH) + STAKE - PENALTY + PENALTY / 20);
        loot();
    }

    // ---------------------------------------------------------------- the pool

    /// @dev Whatever total her vouchers say, in a period she has no more than the caps leave her, and Alice has hers.
    function test_pool_capRace() public {
        campaign = found(90 ether, 30 ether, 1000 ether);
        (owedByPool[alice.account], owedByPool[mallory.account]) = (30 ether, 500 ether);
        begin();
        for (uint32 period = 1; period < 4; ++period) {
            goTo(period);
            for (uint96 total = 500 ether; total > 400 ether; total -= 20 ether) {
                attempt(address(pool), poolClaim(mallory, period, total));
            }
            vm.assertEq(pool.paidInPeriod(campaign, period), 30 ether);
        }
        vm.prank(alice.account);
        (bool done,) = address(pool).call(poolClaim(alice, 3, 30 ether));
        vm.assertTrue(done);
        vm.assertEq(channels.balanceOf(alice.account), RICH + 30 ether);
        loot();
    }

    /// @dev Vouchers of another relay, campaign, period, kind of contract; and in Alice's name, to spoil her redemption.
    function test_pool_voucherOfAnother() public {
        uint32 second = found(90 ether, 30 ether, 100 ether);
        (bytes32 r, bytes32 vs) = compact(poolVoucher(carol.key, campaign, alice.account, 1, 5 ether));
        refused(address(pool), abi.encodeCall(pool.claim, (campaign, 1, 5 ether, r, vs)), UNSIGNED);
        (r, vs) = compact(poolVoucher(carol.key, second, mallory.account, 1, 5 ether));
        refused(address(pool), abi.encodeCall(pool.claim, (campaign, 1, 5 ether, r, vs)), UNSIGNED);
        refused(address(pool), abi.encodeCall(pool.claim, (second, 0, 5 ether, r, vs)), UNSIGNED);
        refused(address(pool), abi.encodeCall(pool.claim, (second, 1, 5 ether + 1, r, vs)), UNSIGNED);
        (r, vs) = compact(voucher(carol.key, mallory.account, 5 ether, 1));
        refused(address(pool), abi.encodeCall(pool.claim, (campaign, 1, 5 ether, r, vs)), UNSIGNED);
        (r, vs) = compact(poolVoucher(mallory.key, campaign, mallory.account, 1, 5 ether));
        refused(address(pool), abi.encodeCall(pool.claim, (campaign, 1, 5 ether, r, vs)), UNSIGNED);
        (r, vs) = compact(poolVoucher(carol.key, campaign, mallory.account, 9, 5 ether));
        bytes4 future = ISubsidyPool.PeriodInFuture.selector;
        refused(address(pool), abi.encodeCall(pool.claim, (campaign, 9, 5 ether, r, vs)), future);
        loot();
    }

    /// @dev A pass that was spent at Alice's relay, redeemed by Mallory in every way that she can think of.
    function test_pool_passOfAnother() public {
        goTo(PERIOD + 2);
        ISubsidyPool.Pass memory p = passFor(0, ENTRY, PERIOD, 1, 300);
        owedByPool[alice.account] = 300 * 5 * HOP_PRICE;
        begin();
        bytes4 unsigned = ISubsidyPool.InvalidPassSignature.selector;
        bytes4 noKey = ISubsidyPool.InvalidKey.selector;
        refused(address(pool), redemptionOf(p), ISubsidyPool.WrongRelay.selector);
        refused(address(pool), redemptionOf(campaign, ENTRY, PERIOD, 0, p), ISubsidyPool.InvalidRelayProof.selector);
        refused(address(pool), redemptionOf(campaign, ENTRY, PERIOD + 1, 2, p), unsigned);
        refused(address(pool), redemptionOf(campaign, ENTRY, PERIOD + 2, 2, p), ISubsidyPool.PeriodNotOver.selector);
        refused(address(pool), redemptionOf(campaign, MAILBOX, PERIOD, 2, p), noKey);
        refused(address(pool), redemptionOf(campaign + 1, ENTRY, PERIOD, 2, p), noKey);
        for (uint256 bit = 0; bit < 8; ++bit) {
            p.signature[7] ^= bytes32(1 << bit); // grinding for one that draws her
            refused(address(pool), redemptionOf(p), unsigned);
            p.signature[7] ^= bytes32(1 << bit);
        }
        redeem(0, PERIOD, p);
        loot();
    }

    /// @dev Her own pass: once, whatever the tick, and by pass or by voucher.
    function test_pool_passPaidTwice() public {
        goTo(PERIOD + 1);
        ISubsidyPool.Pass memory p = passFor(2, ENTRY, PERIOD, 1, 300);
        uint96 total = 300 * 5 * HOP_PRICE;
        owedByPool[mallory.account] = total;
        begin();
        attempt(address(pool), redemptionOf(p));
        for (uint256 i = 0; i < 3; ++i) {
            refused(address(pool), redemptionOf(p), ISubsidyPool.PassRedeemed.selector);
            p.tick -= 1;
            p.link = keccak256(abi.encode(p.link));
        }
        attempt(address(pool), poolClaim(mallory, PERIOD, total));
        attempt(address(pool), poolClaim(mallory, PERIOD + 1, total));
        p = passFor(2, ENTRY, PERIOD, 1000, 10);
        ISubsidyPool.Pass[] memory both = new ISubsidyPool.Pass[](2);
        (both[0], both[1]) = (p, p);
        bytes memory twice =
            abi.encodeCall(pool.redeemPasses, (campaign, ENTRY, PERIOD, KnownPasses.modulus(), place(2), both));
        refused(address(pool), twice, ISubsidyPool.PassRedeemed.selector);
        loot();
    }

    /// @dev As a sponsor she takes her budget back before those are paid who worked for it.
    function test_pool_sponsorRunsAway() public {
        vm.startPrank(mallory.account);
        token.approve(address(pool), 100 ether);
        campaign = pool.createCampaign(mallory.account, 100 ether, 100 ether);
        pool.fund(campaign, 100 ether);
        pool.requestWithdrawal(campaign, 100 ether);
        vm.stopPrank();
        (bytes32 r, bytes32 vs) = compact(poolVoucher(mallory.key, campaign, alice.account, 1, 60 ether));
        attempt(address(pool), abi.encodeCall(pool.setSigner, (campaign, mallory.owner))); // voids nothing
        bytes memory finish_ = abi.encodeCall(pool.finishWithdrawal, (campaign, mallory.account));
        vm.warp(block.timestamp + CLAIM_WINDOW);
        refused(address(pool), finish_, ISubsidyPool.NoticeRunning.selector);
        bytes memory spoil = abi.encodeCall(pool.claim, (campaign, 1, 60 ether, r, vs));
        refused(address(pool), spoil, UNSIGNED);
        vm.prank(alice.account);
        vm.assertEq(pool.claim(campaign, 1, 60 ether, r, vs), 60 ether);
        vm.warp(block.timestamp + WITHDRAWAL_NOTICE);
        attempt(address(pool), finish_);
        vm.assertEq(token.balanceOf(mallory.account), RICH - 60 ether);
        vm.assertEq(channels.balanceOf(alice.account), RICH + 60 ether);
    }

    // ---------------------------------------------------------------- what can be lost all the same

    /// @dev A payer that is away for the whole answer window pays the court's costs, for a batch that it has signed for, too:
    /// as long as the voucher was not claimed.
    function test_limit_absentPayerPaysTheCosts() public {
        fill(alice, mallory, 10 ether);
        Work memory w = carry(alice, mallory, 5);
        win(sue(alice, mallory, w), w);
        vm.assertEq(
            channels.claimJudgement(alice.account, mallory.account), owed[alice.account][mallory.account] + COURT_COST
        );
    }

    /// @dev And once more for each batch after that, one answer window each: she has to keep receipts that she was to forget,
    /// and pays about as much in gas.
    function test_limit_absentPayerPaysTheCostsOfEachBatch() public {
        fill(alice, mallory, 10 ether);
        Work[3] memory works = [carry(alice, mallory, 5), carry(alice, mallory, 5), carry(alice, mallory, 5)];
        uint256 begun = block.timestamp;
        for (uint96 i = 0; i < 3; ++i) {
            IReceiptCourt.Base memory base = IReceiptCourt.Base(works[i].base + i * COURT_COST, uint32(i), "");
            win(sue(alice, mallory, works[i], base), works[i]);
        }
        uint96 judged = court.judgement(alice.account, mallory.account).total;
        vm.assertEq(judged, owed[alice.account][mallory.account] + 3 * COURT_COST);
        vm.assertEq(block.timestamp, begun + 3 * ANSWER_WINDOW);
    }

    /// @dev A payer that owes, and is its own payee: by a judgement between its two accounts its stake is out a grace later,
    /// long before unbonding, and other payees find nothing. The penalty of equivocation is out of its reach.
    function test_limit_stakeIsOutBeforeOthersAsk() public {
        Work memory w = carry(mallory, bob, 5);
        bytes memory one = descriptor(mallory.key, mallory.relay, 1, "a");
        bytes memory two = descriptor(mallory.key, mallory.relay, 1, "b");
        vm.prank(bob.account);
        court.proveEquivocation(mallory.relay, 1, [bytes32("a"), "b"], one, two);
        judge(mallory.key, mallory.owner, STAKE, 1);
        win(sue(mallory, bob, w), w);
        vm.assertEq(court.collectStake(mallory.account, mallory.owner), STAKE - PENALTY);
        vm.warp(block.timestamp + GRACE);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NoStake.selector));
        court.collectStake(mallory.account, bob.account);
        registry.settlePenalty(mallory.relay);
        vm.assertEq(registry.burnt(), PENALTY - PENALTY / 20);
        vm.warp(block.timestamp + UNBONDING);
        vm.prank(mallory.owner);
        registry.withdrawStake(mallory.relay, mallory.owner);
        vm.assertEq(registry.stakeLeft(mallory.relay), 0);
    }

    /// @dev Who builds the block of the seed can try as many hashes as it can compute: here some hundred, for a claim of all that
    /// a batch is worth, of which she has no receipts for a quarter. With 2^32 it would be three quarters.
    function test_limit_builderOfTheSeedsBlock() public {
        Work memory w = carry(alice, mallory, 24, 18);
        uint64 held = uint64(amountOf(w));
        forge(w, 18, Lie.Guessed); // behind all others: every point has to lie before them
        IReceiptCourt.Case memory c = sue(alice, mallory, w);
        vm.assertEq(c.amount, c.batch.value);
        vm.roll(c.openBlock + 5);
        uint256 tries = 0;
        bytes32 hash;
        do {
            hash = keccak256(abi.encode(tries++));
        } while (ReceiptSamples.drawPoints(hash, c.amount)[15] >= held);
        vm.assertLe(tries, 1000);
        vm.setBlockhash(c.openBlock + 4, hash);
        court.record(c);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        court.finish(c, samplesOf(w.r, w.t, hash));
        uint96 judged = court.judgement(alice.account, mallory.account).total;
        vm.assertEq(judged, owed[alice.account][mallory.account] + (c.amount - held) * HOP_PRICE + COURT_COST);
    }

    /// @dev A proof of equivocation is public as soon as it is sent: the bounty is that of whoever is first.
    function test_limit_bountyIsForTheFirst() public {
        bytes memory one = descriptor(bob.key, bob.relay, 1, "a");
        bytes memory two = descriptor(bob.key, bob.relay, 1, "b");
        bytes32[2] memory keys = [bytes32("a"), "b"];
        attempt(address(court), abi.encodeCall(court.proveEquivocation, (bob.relay, 1, keys, one, two)));
        vm.prank(alice.account);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.AlreadyCondemned.selector));
        court.proveEquivocation(bob.relay, 1, keys, one, two);
        vm.assertEq(registry.reporterOf(bob.relay), mallory.account);
    }

    // ---------------------------------------------------------------- help

    /// @dev The books of this file see a single unit that Mallory has too much, or somebody too little.
    function test_loot_seesATheft() public {
        fill(alice, mallory, 10 ether);
        bytes memory claim_ = claimOf(4 ether + 1, voucher(alice.key, mallory.account, 4 ether + 1, 0));
        pay(alice, mallory, 4 ether);
        this.lootNow();
        attempt(address(channels), claim_);
        try this.lootNow() {
            vm.assertTrue(false);
        } catch {}
        vm.prank(mallory.account);
        channels.move(bob.account, 1);
        try this.lootNow() {
            vm.assertTrue(false); // Alice has lost it
        } catch {}
        vm.prank(bob.account);
        channels.move(alice.account, 1);
        this.lootNow();
    }

    function lootNow() external view {
        loot();
    }

    /// @dev The claim is not proven with whatever she can show, and the bond is gone when its time is over.
    function lose(IReceiptCourt.Case memory c, Work memory w, bytes32 hash) private {
        vm.roll(c.openBlock + 5);
        vm.setBlockhash(c.openBlock + 4, hash == 0 ? bytes32("seed") : hash);
        court.record(c);
        (, bytes32 seed) = court.openCase(c.payer, c.payee);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        vm.assertFalse(attempt(address(court), abi.encodeCall(court.finish, (c, samplesOf(w.r, w.t, seed)))));
        vm.warp(c.openedAt + ANSWER_WINDOW + FINISH_WINDOW);
        court.expire(c);
    }

    function closeNow(Party storage payer, address payee) private {
        vm.startPrank(payer.account);
        channels.requestClose(payee);
        vm.warp(block.timestamp + NOTICE);
        channels.finishClose(payee);
        vm.stopPrank();
    }

    /// @dev Alice's voucher of `pay`, claimed by Mallory for herself.
    function claimOf(uint96 total, bytes memory signed) private view returns (bytes memory) {
        return abi.encodeCall(channels.claim, (alice.account, mallory.account, total, 0, signed));
    }

    /// @dev The same as one record of many.
    function record(uint96 total, bytes memory signed) private view returns (bytes memory) {
        (bytes32 r, bytes32 vs) = compact(signed);
        return abi.encodePacked(alice.account, total, uint32(0), r, vs);
    }

    function anyBatch(uint32 number) private pure returns (IReceiptCourt.Batch memory) {
        return IReceiptCourt.Batch(number, 3, 7, HOP_PRICE, "locks");
    }

    function openingOf(IReceiptCourt.Base memory base, IReceiptCourt.Batch memory batch, bytes memory signed)
        private
        view
        returns (bytes memory)
    {
        return openingOf(base, batch, signed, 3);
    }

    function openingOf(
        IReceiptCourt.Base memory base,
        IReceiptCourt.Batch memory batch,
        bytes memory signed,
        uint64 amount
    ) private view returns (bytes memory) {
        return abi.encodeCall(court.open, (alice.account, base, batch, signed, "receipts", amount));
    }

    function equivocationOf(uint32 epoch, bytes memory one, bytes memory two) private view returns (bytes memory) {
        return abi.encodeCall(court.proveEquivocation, (alice.relay, epoch, [bytes32("a"), "b"], one, two));
    }

    function collectionOf(address payer) private view returns (bytes memory) {
        return abi.encodeCall(court.collectStake, (payer, mallory.account));
    }

    function poolClaim(Party storage relay, uint32 period, uint96 total) private view returns (bytes memory) {
        (bytes32 r, bytes32 vs) = compact(poolVoucher(carol.key, campaign, relay.account, period, total));
        return abi.encodeCall(pool.claim, (campaign, period, total, r, vs));
    }

    function redemptionOf(ISubsidyPool.Pass memory p) private view returns (bytes memory) {
        return redemptionOf(campaign, ENTRY, PERIOD, 2, p);
    }

    function redemptionOf(uint32 id, uint8 kind, uint32 period, uint32 position, ISubsidyPool.Pass memory p)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            pool.redeemPasses, (id, kind, period, KnownPasses.modulus(), place(position), listed(p))
        );
    }
}
