// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptCourt} from "../../../contracts/interfaces/IReceiptCourt.sol";
import {vm} from "../Vm.sol";
import {Books} from "./Books.sol";

/// @dev Payees bring cases, honest ones and ones without receipts; payers answer or do not; stakes are collected.
abstract contract Trials is Books {
    struct Suit {
        uint256 payer;
        uint256 payee;
        bool honest;
        bool admitted; // the payer has signed for as much, up to a later batch
        uint256 receiptsSeed;
        IReceiptCourt.Case case_;
    }

    Suit[] internal suits;
    mapping(uint256 payer => mapping(uint256 payee => uint256 indexPlusOne)) private _open;
    mapping(uint256 payer => mapping(uint256 payee => uint32)) private _number;

    /// @dev Bonds of open cases.
    uint256 public bonds;
    uint256 public judged;
    uint256 public expired;
    uint256 public collected;

    // ---------------------------------------------------------------- actions

    function openCase(uint256 payerSeed, uint256 payeeSeed, uint256 seed) public watched(false, 0, 0) {
        (uint256 payer, uint256 payee) = pairOf(payerSeed, payeeSeed);
        vm.assume(_open[payer][payee] == 0);
        _openCase(payer, payee, seed);
    }

    function record(uint256 index) external watched(false, 0, 0) {
        Suit storage suit = _unrecorded(index);
        _record(suit.case_);
    }

    /// @dev The payer's voucher, shown by anyone in time, by the payee also later. Up to a later batch it ends the case only if
    /// the payee shows it.
    function answer(uint256 index, uint96 more, uint32 later) external watched(false, 0, 0) {
        Suit storage suit = _someSuit(index);
        IReceiptCourt.Case memory c = suit.case_;
        uint96 cumulative = uint96(_admitted(c) + bound(more, 0, MOST));
        uint32 upto = later % 3 == 0 ? c.batch.number : uint32(bound(later, c.batch.number, c.batch.number + 1000));
        note(suit.payer, suit.payee, cumulative);
        bytes memory signed = voucher(suit.payer, c.payee, cumulative, upto);
        bool byPayee = block.timestamp >= uint256(c.openedAt) + ANSWER_WINDOW || more % 2 == 0;
        vm.prank(byPayee ? c.payee : mallory);
        court.answer(c, cumulative, upto, signed);
        if (!byPayee && upto != c.batch.number) {
            suit.admitted = true;
            return;
        }
        _number[suit.payer][suit.payee] = upto; // a batch that a judgement covers is judged no more
        _close(suit);
    }

    /// @dev An honest case is judged; in one without receipts no samples help.
    function finish(uint256 index) external watched(false, 0, 0) {
        _finish(_readySuit(index));
    }

    function expire(uint256 index) external watched(false, 0, 0) {
        _expire(_someSuit(index));
    }

    function claimJudgement(uint256 payerSeed, uint256 payeeSeed) external watched(false, 0, 0) {
        (uint256 payer, uint256 payee) = pairOf(payerSeed, payeeSeed);
        vm.prank(mallory);
        channels.claimJudgement(peer(payer), peer(payee));
    }

    /// @dev The first judgement that its channel does not cover, from a place on, or one made now.
    function collectStake(uint256 seed) external watched(false, 0, 0) {
        for (uint256 i = 0; i < PEERS * PEERS; ++i) {
            uint256 place = (seed % (PEERS * PEERS) + i) % (PEERS * PEERS);
            if (_lacking(1 + place / PEERS, 1 + place % PEERS)) {
                return _collect(1 + place / PEERS, 1 + place % PEERS);
            }
        }
        Suit storage suit = _readySuit(seed);
        _finish(suit);
        vm.assume(_lacking(suit.payer, suit.payee));
        _collect(suit.payer, suit.payee);
    }

    // ---------------------------------------------------------------- cases

    function _openCase(uint256 payer, uint256 payee, uint256 seed) internal {
        Suit storage suit = suits.push();
        (suit.payer, suit.payee, suit.honest, suit.receiptsSeed) = (payer, payee, seed % 4 != 0, seed);
        Receipts memory r = _receipts(suit);
        (IReceiptCourt.Batch memory batch, bytes32 root, uint64 amount) =
            batchOf(treesOf(r), ++_number[payer][payee], uint32(r.locks.length));
        batch.price = uint96(bound(seed >> 64, 1, 1 ether));
        if (!suit.honest) root = keccak256(abi.encode(seed)); // a commitment to nothing

        uint96 base = right[payer][payee];
        vm.assume(uint256(base) + uint256(amount) * batch.price + 2 * uint256(MOST) < type(uint96).max);
        uint96 bond = uint96((uint256(amount) * batch.price + 1) / 2);
        atLeast(payee, bond);
        bytes memory signed = batchSignature(payer, peer(payee), batch);
        vm.prank(peer(payee));
        court.open(peer(payer), _baseOf(payer, payee, batch.number, seed), batch, signed, root, amount);

        suit.case_ = IReceiptCourt.Case(
            peer(payer), peer(payee), base, amount, batch, root, uint40(block.timestamp), uint64(block.number)
        );
        bonds += bond;
        _open[payer][payee] = suits.length;
    }

    /// @dev What the payee has a right to, up to any batch before: those between may have had no receipt.
    function _baseOf(uint256 payer, uint256 payee, uint32 number, uint256 seed)
        private
        view
        returns (IReceiptCourt.Base memory)
    {
        uint96 base = right[payer][payee];
        uint32 upto = uint32(bound(seed >> 32, 0, number - 1));
        bytes memory signed = base == 0 && upto == 0 ? bytes("") : voucher(payer, peer(payee), base, upto);
        return IReceiptCourt.Base(base, upto, signed);
    }

    function _finish(Suit storage suit) private {
        IReceiptCourt.Case memory c = suit.case_;
        (, bytes32 seed) = court.openCase(c.payer, c.payee);
        Receipts memory r = _receipts(suit);
        bytes memory samples = samplesOf(r, treesOf(r), seed);
        if (!suit.honest) {
            try court.finish(c, samples) {
                broken = "a case without receipts was judged";
            } catch {}
            return;
        }
        court.finish(c, samples);
        note(suit.payer, suit.payee, uint96(_admitted(c) + (suit.admitted ? 0 : COURT_COST)));
        judged += 1;
        _close(suit);
    }

    function _expire(Suit storage suit) private {
        uint256 end = uint256(suit.case_.openedAt) + ANSWER_WINDOW + FINISH_WINDOW;
        notBefore(end);
        court.expire(suit.case_);
        expired += 1;
        _close(suit);
    }

    function _lacking(uint256 payer, uint256 payee) private view returns (bool) {
        (uint96 deposited,,) = channels.channel(peer(payer), peer(payee));
        return court.judgement(peer(payer), peer(payee)).total > deposited;
    }

    function _collect(uint256 payer, uint256 payee) private {
        uint40 judgedAt = court.judgement(peer(payer), peer(payee)).judgedAt;
        notBefore(uint256(judgedAt) + GRACE);
        try court.collectStake(peer(payer), peer(payee)) {
            collected += 1;
        } catch (bytes memory reason) {
            // Only a stake that was eaten up stands in the way.
            if (bytes4(reason) != IReceiptCourt.NoStake.selector) broken = "a stake was out of reach";
        }
    }

    function _receipts(Suit storage suit) private view returns (Receipts memory) {
        return receiptsOf(1 + suit.receiptsSeed % 6, suit.receiptsSeed);
    }

    /// @dev An open case, opened now where there is none.
    function _someSuit(uint256 index) private returns (Suit storage) {
        for (uint256 i = 0; i < PEERS * PEERS; ++i) {
            uint256 place = (index % (PEERS * PEERS) + i) % (PEERS * PEERS);
            uint256 found = _open[1 + place / PEERS][1 + place % PEERS];
            if (found != 0) return suits[found - 1];
        }
        (uint256 payer, uint256 payee) = pairOf(index, index >> 8);
        _openCase(payer, payee, index);
        return suits[suits.length - 1];
    }

    /// @dev An open case that can be finished now. Where all it finds are late, it ends one and opens the next.
    function _readySuit(uint256 index) private returns (Suit storage suit) {
        for (uint256 i = 0; i < PEERS; ++i) {
            suit = _someSuit(index % (PEERS * PEERS) + i);
            if (_makeReady(suit)) return suit;
        }
        suit = _someSuit(index);
        _expire(suit);
        _openCase(suit.payer, suit.payee, index);
        suit = suits[suits.length - 1];
        _makeReady(suit);
    }

    function _unrecorded(uint256 index) private returns (Suit storage suit) {
        suit = _someSuit(index);
        (, bytes32 seed) = court.openCase(suit.case_.payer, suit.case_.payee);
        vm.assume(seed == 0 && block.number <= suit.case_.openBlock + 260);
    }

    function _record(IReceiptCourt.Case memory c) private {
        if (block.number <= c.openBlock + 4) vm.roll(c.openBlock + 5);
        court.record(c);
    }

    /// @dev Draws the seed and lets the answer window pass, if it is not too late for either.
    function _makeReady(Suit storage suit) private returns (bool) {
        IReceiptCourt.Case memory c = suit.case_;
        (, bytes32 seed) = court.openCase(c.payer, c.payee);
        if (seed == 0 && block.number > c.openBlock + 260) return false;
        if (seed == 0) _record(c);
        uint256 from = uint256(c.openedAt) + ANSWER_WINDOW;
        notBefore(from);
        return block.timestamp < from + FINISH_WINDOW;
    }

    function _close(Suit storage suit) private {
        bonds -= (uint256(suit.case_.amount) * suit.case_.batch.price + 1) / 2;
        _open[suit.payer][suit.payee] = 0;
    }

    function _admitted(IReceiptCourt.Case memory c) private pure returns (uint256) {
        return c.base + uint256(c.amount) * c.batch.price;
    }
}
