// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ReceiptSamples} from "../../contracts/lib/ReceiptSamples.sol";
import {Courtroom} from "./Courtroom.sol";
import {SamplesReader} from "./ReceiptSamples.t.sol";
import {vm} from "./Vm.sol";

/// @dev Trees that claim more than the payee has. What is forged is found exactly when a point falls on it: so nothing but the
/// number of points decides how much of a claim can be forged.
contract ReceiptForgeriesTest is Courtroom {
    uint256 private constant COUNT = 24;
    uint256 private constant TOP = 5;

    SamplesReader private reader = new SamplesReader();

    // ---------------------------------------------------------------- forged leaves

    enum Forgery {
        NoResponse,
        WrongResponse,
        AnothersReceipt,
        TooMuch,
        TooLittle
    }

    function testFuzz_forgedLeaf(bytes32 seed, uint256 place, uint8 kind) public view {
        place %= COUNT;
        Receipts memory r = receiptsOf(COUNT, 1);
        for (uint256 i = 0; i < COUNT; ++i) {
            r.values[i] *= 3;
        }
        Trees memory t = treesOf(r);
        forge(r, t, place, Forgery(kind % 5));
        rejoin(t, 1);
        checkCaught(r, t, seed, hits(t, 0, place, seed));
    }

    /// @dev Changes one leaf of the receipts' tree, and what the payee shows for it. The payer's locks' tree stays.
    function forge(Receipts memory r, Trees memory t, uint256 place, Forgery kind) private pure {
        (uint256 response, uint64 value) = (r.responses[place], r.values[place]);
        if (kind == Forgery.NoResponse) response = 0;
        else if (kind == Forgery.WrongResponse) response = response == 1 ? 2 : response - 1;
        else if (kind == Forgery.AnothersReceipt) response = r.responses[(place + 4) % COUNT]; // of the same value
        else if (kind == Forgery.TooMuch) value += 1;
        else value -= 1;
        (r.responses[place], r.values[place]) = (response, value);
        t.receipts[0][place] = keccak256(abi.encodePacked(response, value));
        t.sums[0][place] = value;
    }

    /// @dev The same receipt counted wherever a lock of the same value stands: one of them is real.
    function testFuzz_oneReceiptCountedManyTimes(bytes32 seed, uint256 place) public view {
        place %= COUNT;
        Receipts memory r = receiptsOf(COUNT, 2);
        Trees memory t = treesOf(r);
        bool caught = false;
        for (uint256 i = place % 4; i < COUNT; i += 4) {
            r.responses[i] = r.responses[place];
            t.receipts[0][i] = t.receipts[0][place];
        }
        rejoin(t, 1);
        for (uint256 i = place % 4; i < COUNT; i += 4) {
            if (i != place && hits(t, 0, i, seed)) caught = true;
        }
        checkCaught(r, t, seed, caught);
    }

    /// @dev Half of the claim is not there: one time in 2^16 it passes, and not in these.
    function testFuzz_halfOfTheClaimIsForged(bytes32 seed) public view {
        Receipts memory r = receiptsOf(COUNT, 3);
        Trees memory t = treesOf(r);
        for (uint256 i = 0; i < COUNT / 2; ++i) {
            r.responses[i] = keyFrom(uint256(keccak256(abi.encode(i))));
            t.receipts[0][i] = keccak256(abi.encodePacked(r.responses[i], r.values[i]));
        }
        rejoin(t, 1);
        checkCaught(r, t, seed, true);
    }

    // ---------------------------------------------------------------- forged sums

    /// @dev A node that says another sum than its children have.
    function testFuzz_sumThatDoesNotAddUp(bytes32 seed, uint256 level, uint256 index, uint64 sum) public view {
        level = bound(level, 1, TOP - 1);
        index %= 2 ** (TOP - level);
        Receipts memory r = receiptsOf(COUNT, 4);
        Trees memory t = treesOf(r);
        sum = uint64(bound(sum, 0, 1000));
        vm.assume(sum != t.sums[level][index]);
        t.sums[level][index] = sum;
        rejoin(t, level + 1);
        checkCaught(r, t, seed, hits(t, level, index, seed));
    }

    /// @dev Children whose sums go over 64 bits, so that they seem to add up to no more than they have.
    function testFuzz_sumsThatOverflow(bytes32 seed, uint64 first, uint256 level, uint256 index) public view {
        Receipts memory r = receiptsOf(COUNT, 5);
        Trees memory t = treesOf(r);
        level = bound(level, 0, TOP - 1);
        index %= 2 ** (TOP - level - 1);
        uint64 right = t.sums[TOP][0];
        overflow(t, level, 2 * index, first);
        vm.assertEq(t.sums[TOP][0], right);
        // Found as soon as a point falls on the two; else they are a node like any other, which nobody opened.
        checkCaught(r, t, seed, hits(t, level + 1, index, seed));
    }

    function overflow(Trees memory t, uint256 level, uint256 index, uint64 first) private pure {
        uint64[] memory sums = t.sums[level];
        uint64 both = sums[index] + sums[index + 1];
        sums[index] = uint64(bound(first, uint256(both) + 1, type(uint64).max));
        unchecked {
            sums[index + 1] = both - sums[index]; // modulo 2^64
        }
        rejoin(t, level + 1);
    }

    /// @dev After the draw, value moves from one node that is shown unopened to the next: both sums are committed.
    function testFuzz_valueMovedAfterTheDraw(bytes32 seed, uint64 moved, bool toTheRight) public view {
        Receipts memory r = receiptsOf(4, 6);
        (r.values[0], r.values[1], r.values[2], r.values[3]) = (0, 0, 0, 1e9);
        Trees memory t = treesOf(r);
        bytes memory samples = samplesOf(r, t, seed); // 1 position, node of 0 and 1, leaf 2, leaf 3
        moved = uint64(bound(moved, 1, type(uint32).max));
        vm.assertTrue(reader.prove(samples, seed, t.receipts[2][0], t.locks[2][0], 4, 1e9));
        uint256 at = toTheRight ? 5 + 72 + 32 : 5 + 32;
        uint256 from = toTheRight ? 5 + 32 : 5 + 72 + 32;
        unchecked {
            setSum(samples, at, moved);
            setSum(samples, from, 0 - moved); // the two still add up to nothing, modulo 2^64
        }
        vm.assertFalse(proves(samples, seed, t.receipts[2][0], t.locks[2][0], 4, 1e9));
    }

    function setSum(bytes memory samples, uint256 at, uint64 sum) private pure {
        for (uint256 i = 0; i < 8; ++i) {
            samples[at + i] = bytes1(uint8(sum >> (56 - 8 * i)));
        }
    }

    // ---------------------------------------------------------------- responses and locks

    function testFuzz_opens(uint256 response, address other) public pure {
        response = keyFrom(response);
        address lock = vm.addr(response);
        vm.assertEq(lockOf(response), lock);
        vm.assertTrue(ReceiptSamples.opens(response, lock));
        if (other != lock) vm.assertFalse(ReceiptSamples.opens(response, other));
        vm.assertFalse(ReceiptSamples.opens(ORDER - response, lock)); // the point's mirror image
        vm.assertFalse(ReceiptSamples.opens(response, address(0)));
    }

    /// @dev A scalar has one form: a response that is the same modulo the order, or none at all, opens nothing.
    function testFuzz_opens_failsIfResponseIsNoScalar(uint256 small) public pure {
        small = bound(small, 1, type(uint256).max - ORDER);
        vm.assertTrue(ReceiptSamples.opens(small, vm.addr(small)));
        vm.assertFalse(ReceiptSamples.opens(small + ORDER, vm.addr(small)));
        vm.assertFalse(ReceiptSamples.opens(0, vm.addr(small)));
        vm.assertFalse(ReceiptSamples.opens(ORDER, vm.addr(small)));
        vm.assertTrue(ReceiptSamples.opens(ORDER - 1, vm.addr(ORDER - 1)));
        vm.assertFalse(ReceiptSamples.opens(0, address(0)));
        vm.assertFalse(ReceiptSamples.opens(ORDER, address(0)));
    }

    // ---------------------------------------------------------------- help

    /// @dev Whether a point falls on a node.
    function hits(Trees memory t, uint256 level, uint256 index, bytes32 seed) private pure returns (bool) {
        // Where it begins: what stands to its left, at each level above it.
        uint256 start = 0;
        uint256 place = index;
        for (uint256 above = level; above < TOP; ++above) {
            if (place % 2 == 1) start += t.sums[above][place - 1];
            place /= 2;
        }
        return crosses(start, start + t.sums[level][index], seed, t.sums[TOP][0]);
    }

    function crosses(uint256 start, uint256 end, bytes32 seed, uint256 amount) private pure returns (bool) {
        uint256[] memory points = ReceiptSamples.drawPoints(seed, amount);
        for (uint256 i = 0; i < points.length; ++i) {
            if (start <= points[i] && points[i] < end) return true;
        }
        return false;
    }

    /// @dev The payee's best samples are refused if a point falls on what is forged, and accepted if none does.
    function checkCaught(Receipts memory r, Trees memory t, bytes32 seed, bool hit) private view {
        bytes memory samples = samplesOf(r, t, seed);
        vm.assertTrue(proves(samples, seed, t.receipts[TOP][0], t.locks[TOP][0], COUNT, t.sums[TOP][0]) != hit);
    }

    function proves(bytes memory samples, bytes32 seed, bytes32 root, bytes32 locks, uint256 count, uint256 amount)
        private
        view
        returns (bool)
    {
        try reader.prove(samples, seed, root, locks, count, amount) returns (bool good) {
            return good;
        } catch {
            return false;
        }
    }
}
