// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {ReceiptSamples} from "../../contracts/lib/ReceiptSamples.sol";
import {Tools} from "./Tools.sol";
import {vm} from "./Vm.sol";

/// @dev Batches of receipts, their two trees, and the samples that a payee shows: what a daemon does, in Solidity.
abstract contract Courtroom is Tools {
    /// @dev Tickets of a batch by position. Without its response (zero) a ticket counts nothing.
    struct Receipts {
        uint256[] responses;
        address[] locks;
        uint64[] values;
    }

    /// @dev Both trees, level by level from the leaves, each as wide as the level can be.
    struct Trees {
        bytes32[][] receipts;
        uint64[][] sums;
        bytes32[][] locks;
    }

    uint256 internal constant BASE_X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;

    // ---------------------------------------------------------------- receipts

    /// @dev `count` tickets of value 1 to 4, all opened.
    function receiptsOf(uint256 count, uint256 seed) internal pure returns (Receipts memory r) {
        r = Receipts(new uint256[](count), new address[](count), new uint64[](count));
        for (uint256 i = 0; i < count; ++i) {
            r.responses[i] = keyFrom(uint256(keccak256(abi.encode(seed, i))));
            r.locks[i] = lockOf(r.responses[i]);
            r.values[i] = [uint64(1), 2, 3, 4][i % 4];
        }
    }

    /// @dev What vm.addr says too (ReceiptForgeries checks that), much faster: see ReceiptSamples.opens.
    function lockOf(uint256 response) internal pure returns (address) {
        return ecrecover(0, 27, bytes32(BASE_X), bytes32(mulmod(response, BASE_X, ORDER)));
    }

    function treesOf(Receipts memory r) internal pure returns (Trees memory t) {
        uint256 depth = 0;
        while ((r.responses.length - 1) >> depth != 0) ++depth;
        t = Trees(new bytes32[][](depth + 1), new uint64[][](depth + 1), new bytes32[][](depth + 1));
        for (uint256 level = 0; level <= depth; ++level) {
            uint256 width = 2 ** (depth - level);
            (t.receipts[level], t.sums[level]) = (new bytes32[](width), new uint64[](width));
            t.locks[level] = new bytes32[](width);
        }
        for (uint256 i = 0; i < r.responses.length; ++i) {
            _leaf(t, r, i);
        }
        rejoin(t, 1);
    }

    /// @dev Computes all nodes anew, from this level up.
    function rejoin(Trees memory t, uint256 lowest) internal pure {
        for (uint256 level = lowest; level < t.sums.length; ++level) {
            for (uint256 i = 0; i < t.sums[level].length; ++i) {
                _join(t, level, i);
            }
        }
    }

    function _leaf(Trees memory t, Receipts memory r, uint256 i) private pure {
        uint64 counted = r.responses[i] == 0 ? 0 : r.values[i];
        t.receipts[0][i] = keccak256(abi.encodePacked(r.responses[i], counted));
        t.sums[0][i] = counted;
        t.locks[0][i] = keccak256(abi.encodePacked(r.locks[i], r.values[i]));
    }

    function _join(Trees memory t, uint256 level, uint256 i) private pure {
        (bytes32[] memory below, uint64[] memory sums) = (t.receipts[level - 1], t.sums[level - 1]);
        t.receipts[level][i] =
            keccak256(abi.encodePacked(below[2 * i], sums[2 * i], below[2 * i + 1], sums[2 * i + 1]));
        unchecked {
            t.sums[level][i] = sums[2 * i] + sums[2 * i + 1];
        }
        t.locks[level][i] = keccak256(abi.encodePacked(t.locks[level - 1][2 * i], t.locks[level - 1][2 * i + 1]));
    }

    /// @dev A batch that is worth its receipts: all of its tickets are opened.
    function batchOf(Trees memory t, uint32 number, uint32 count)
        internal
        pure
        returns (IReceiptCourt.Batch memory batch, bytes32 receiptsRoot, uint64 amount)
    {
        uint256 top = t.locks.length - 1;
        batch = IReceiptCourt.Batch(number, count, t.sums[top][0], HOP_PRICE, t.locks[top][0]);
        return (batch, t.receipts[top][0], t.sums[top][0]);
    }

    // ---------------------------------------------------------------- samples

    /// @dev What `finish` wants for a seed.
    function samplesOf(Receipts memory r, Trees memory t, bytes32 seed) internal pure returns (bytes memory samples) {
        return samplesAt(r, t, positionsAt(t, ReceiptSamples.drawPoints(seed, t.sums[t.sums.length - 1][0])));
    }

    /// @dev The leaves under ascending points, each once. Where sums do not add up, some leaf beside the point.
    function positionsAt(Trees memory t, uint256[] memory points) internal pure returns (uint256[] memory positions) {
        uint256[] memory found = new uint256[](ReceiptSamples.POINTS);
        uint256 number = 0;
        for (uint256 i = 0; i < ReceiptSamples.POINTS; ++i) {
            uint256 position = _leafAt(t, points[i]);
            if (number == 0 || found[number - 1] != position) found[number++] = position;
        }
        positions = new uint256[](number);
        for (uint256 i = 0; i < number; ++i) {
            positions[i] = found[i];
        }
    }

    function _leafAt(Trees memory t, uint256 point) private pure returns (uint256 position) {
        for (uint256 level = t.sums.length - 1; level != 0; --level) {
            position *= 2;
            uint256 left = t.sums[level - 1][position];
            if (point < left) continue;
            point -= left;
            ++position;
        }
    }

    /// @dev The samples that show these leaves, in this order.
    function samplesAt(Receipts memory r, Trees memory t, uint256[] memory positions)
        internal
        pure
        returns (bytes memory samples)
    {
        samples = abi.encodePacked(uint8(positions.length));
        for (uint256 i = 0; i < positions.length; ++i) {
            samples = abi.encodePacked(samples, uint32(positions[i]));
        }
        return abi.encodePacked(samples, _walk(r, t, positions, t.sums.length - 1, 0));
    }

    function _walk(Receipts memory r, Trees memory t, uint256[] memory positions, uint256 level, uint256 index)
        private
        pure
        returns (bytes memory)
    {
        bool within = false;
        for (uint256 i = 0; i < positions.length; ++i) {
            if (positions[i] >> level == index) within = true;
        }
        if (!within) {
            return abi.encodePacked(t.receipts[level][index], t.sums[level][index], t.locks[level][index]);
        }
        if (level == 0 && index >= r.responses.length) return new bytes(60); // a forger's: there is nothing to show
        if (level == 0) return abi.encodePacked(r.responses[index], r.values[index], r.locks[index]);
        return abi.encodePacked(
            _walk(r, t, positions, level - 1, 2 * index), _walk(r, t, positions, level - 1, 2 * index + 1)
        );
    }

    // ---------------------------------------------------------------- cases

    /// @dev A payee opens a case about a batch whose number and price are given; it gets the bond first.
    function openCase(
        uint256 payerKey,
        address payee,
        IReceiptCourt.Base memory base,
        IReceiptCourt.Batch memory batch,
        bytes32 receiptsRoot,
        uint64 amount
    ) internal returns (IReceiptCourt.Case memory) {
        credit(payee, bondOf(amount, batch.price));
        bytes memory signed = batchSignature(payerKey, payee, batch);
        address payer = vm.addr(payerKey);
        vm.prank(payee);
        court.open(payer, base, batch, signed, receiptsRoot, amount);
        return caseOf(payer, payee, base.total, batch, receiptsRoot, amount);
    }

    /// @dev The case that was opened in this block.
    function caseOf(
        address payer,
        address payee,
        uint96 base,
        IReceiptCourt.Batch memory batch,
        bytes32 receiptsRoot,
        uint64 amount
    ) internal view returns (IReceiptCourt.Case memory) {
        (uint40 openedAt, uint64 openBlock) = (uint40(block.timestamp), uint64(block.number));
        return IReceiptCourt.Case(payer, payee, base, amount, batch, receiptsRoot, openedAt, openBlock);
    }

    function bondOf(uint64 amount, uint96 price) internal pure returns (uint96) {
        return uint96((uint256(amount) * price + 1) / 2);
    }

    /// @dev A payee opens a case about its first batch, for all receipts that it has.
    function openFirst(uint256 payerKey, address payee, Receipts memory r, Trees memory t)
        internal
        returns (IReceiptCourt.Case memory)
    {
        (IReceiptCourt.Batch memory batch, bytes32 root, uint64 amount) = batchOf(t, 1, uint32(r.locks.length));
        return openCase(payerKey, payee, IReceiptCourt.Base(0, 0, ""), batch, root, amount);
    }

    /// @dev Time goes on to the first block in which the seed can be recorded, and it is.
    function draw(IReceiptCourt.Case memory c) internal returns (bytes32 seed) {
        vm.roll(c.openBlock + 5);
        court.record(c);
        (, seed) = court.openCase(c.payer, c.payee);
    }

    /// @dev The whole way to a judgement, in the first second in which it can be made.
    function finish(IReceiptCourt.Case memory c, Receipts memory r, Trees memory t) internal {
        bytes32 seed = draw(c);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        court.finish(c, samplesOf(r, t, seed));
    }

    /// @dev Any total is judged at once where the payer's own vouchers admit it: one unit more than the base.
    function judge(uint256 payerKey, address payee, uint96 total, uint32 number) internal {
        bytes memory signed = voucher(payerKey, payee, total - 1, number - 1);
        IReceiptCourt.Base memory base = IReceiptCourt.Base(total - 1, number - 1, signed);
        IReceiptCourt.Batch memory batch = IReceiptCourt.Batch(number, 1, 1, 1, bytes32("locks"));
        IReceiptCourt.Case memory c = openCase(payerKey, payee, base, batch, bytes32("receipts"), 1);
        court.answer(c, total, number, voucher(payerKey, payee, total, number));
    }

    // ---------------------------------------------------------------- signatures

    function batchSignature(uint256 payerKey, address payee, IReceiptCourt.Batch memory batch)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256(
            "Batch(address payer,address payee,uint32 number,uint32 count,uint64 value,uint96 price,bytes32 locksRoot)"
        );
        bytes32 structHash = keccak256(
            abi.encode(
                typehash,
                vm.addr(payerKey),
                payee,
                batch.number,
                batch.count,
                batch.value,
                batch.price,
                batch.locksRoot
            )
        );
        return signature(payerKey, digest("Mixpay Channels", address(channels), structHash));
    }

    function descriptor(uint256 operatorKey, uint32 relay, uint32 epoch, bytes32 packetKey)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256("Descriptor(uint32 relay,uint32 epoch,bytes32 packetKey)");
        bytes32 structHash = keccak256(abi.encode(typehash, relay, epoch, packetKey));
        return signature(operatorKey, digest("Mixpay RelayRegistry", address(registry), structHash));
    }
}
