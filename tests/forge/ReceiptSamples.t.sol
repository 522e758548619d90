// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ReceiptSamples} from "../../contracts/lib/ReceiptSamples.sol";
import {Courtroom} from "./Courtroom.sol";
import {vm} from "./Vm.sol";

/// @dev The library reads calldata, so it is called from outside.
contract SamplesReader {
    function prove(
        bytes calldata samples,
        bytes32 seed,
        bytes32 receiptsRoot,
        bytes32 locksRoot,
        uint256 count,
        uint256 amount
    ) external pure returns (bool) {
        return ReceiptSamples.prove(samples, seed, receiptsRoot, locksRoot, count, amount);
    }
}

/// @dev What proves a claim, and everything that does not: other bytes, other trees, leaves that are no receipts.
contract ReceiptSamplesTest is Courtroom {
    SamplesReader private reader = new SamplesReader();

    // ---------------------------------------------------------------- what is accepted

    /// @dev Any number of tickets, any values, some without their response: what the payee can show is enough.
    function testFuzz_prove_honestSamples(uint256 count, uint256 seed, uint256 gaps) public view {
        count = bound(count, 1, 300);
        Receipts memory r = receiptsOf(count, seed % 8);
        uint256 known = uint256(keccak256(abi.encode(gaps))) % count; // the line is never empty
        for (uint256 i = 0; i < count; ++i) {
            uint256 noise = uint256(keccak256(abi.encode(seed, gaps, i)));
            if (i != known && noise % 4 < gaps % 5) r.responses[i] = 0;
            r.values[i] = i == known ? 1 : uint64(noise >> 200 >> (noise % 56));
        }
        Trees memory t = treesOf(r);
        vm.assertTrue(accepted(t, count, bytes32(seed), samplesOf(r, t, bytes32(seed))));
    }

    /// @dev Shapes at the edges: one ticket, one unit, one leaf under all points, many empty subtrees on the right.
    function testFuzz_prove_edges(bytes32 seed, uint64 value) public view {
        value = uint64(bound(value, 1, type(uint64).max));
        uint256[6] memory counts = [uint256(1), 2, 3, 9, 17, 33];
        for (uint256 i = 0; i < counts.length; ++i) {
            Receipts memory r = receiptsOf(counts[i], 1);
            for (uint256 k = 0; k < counts[i]; ++k) {
                r.values[k] = k == i % counts[i] ? value : 0;
            }
            Trees memory t = treesOf(r);
            vm.assertEq(t.sums[t.sums.length - 1][0], value);
            bytes memory samples = samplesOf(r, t, seed);
            vm.assertEq(uint8(samples[0]), 1);
            vm.assertTrue(accepted(t, counts[i], seed, samples));
        }
    }

    /// @dev The largest sum there is.
    function test_prove_sumOf64Bits() public view {
        Receipts memory r = receiptsOf(4, 1);
        (r.values[0], r.values[1], r.values[2], r.values[3]) = (1, type(uint64).max - 3, 1, 1);
        Trees memory t = treesOf(r);
        vm.assertTrue(accepted(t, 4, bytes32("seed"), samplesOf(r, t, bytes32("seed"))));
    }

    function testFuzz_drawPoints(bytes32 seed, uint64 amount) public pure {
        amount = uint64(bound(amount, 1, type(uint64).max));
        uint256[] memory points = ReceiptSamples.drawPoints(seed, amount);
        vm.assertEq(points.length, 17);
        vm.assertEq(points[16], type(uint256).max);
        for (uint256 k = 0; k < 16; ++k) {
            uint256 point = uint256(keccak256(abi.encodePacked(seed, k))) % amount;
            uint256 smaller = 0;
            uint256 equal = 0;
            for (uint256 i = 0; i < 16; ++i) {
                if (points[i] < point) ++smaller;
                if (points[i] == point) ++equal;
            }
            vm.assertTrue(equal != 0 && points[smaller] == point);
            if (k != 0) vm.assertLe(points[k - 1], points[k]);
        }
    }

    // ---------------------------------------------------------------- other bytes

    /// @dev For a seed one string of bytes proves a claim: with any one byte changed nothing is proven.
    function testFuzz_prove_failsIfAByteIsOther(uint256 count, bytes32 seed, uint256 at, uint8 flip) public view {
        vm.assume(flip != 0);
        count = bound(count, 1, 90);
        Receipts memory r = receiptsOf(count, 2);
        Trees memory t = treesOf(r);
        bytes memory samples = samplesOf(r, t, seed);
        at %= samples.length;
        samples[at] = bytes1(uint8(samples[at]) ^ flip);
        vm.assertFalse(accepted(t, count, seed, samples));
    }

    /// @dev The same for the bytes that steer the walk, which few of the bytes are.
    function testFuzz_prove_failsIfAPositionIsOther(uint256 count, bytes32 seed, uint256 at, uint8 flip) public view {
        vm.assume(flip != 0);
        count = bound(count, 1, 90);
        Receipts memory r = receiptsOf(count, 2);
        Trees memory t = treesOf(r);
        bytes memory samples = samplesOf(r, t, seed);
        at %= 1 + 4 * uint256(uint8(samples[0]));
        samples[at] = bytes1(uint8(samples[at]) ^ flip);
        vm.assertFalse(accepted(t, count, seed, samples));
    }

    function testFuzz_prove_failsIfCutOrLonger(uint256 count, bytes32 seed, uint256 cut, bytes memory more)
        public
        view
    {
        vm.assume(more.length != 0);
        count = bound(count, 1, 90);
        Receipts memory r = receiptsOf(count, 3);
        Trees memory t = treesOf(r);
        bytes memory samples = samplesOf(r, t, seed);
        vm.assertFalse(accepted(t, count, seed, abi.encodePacked(samples, more)));
        vm.assertFalse(accepted(t, count, seed, abi.encodePacked(samples, new bytes(more.length))));
        assembly ("memory-safe") {
            mstore(samples, mod(cut, mload(samples)))
        }
        vm.assertFalse(accepted(t, count, seed, samples));
    }

    function testFuzz_prove_failsForNoise(bytes memory noise, bytes32 seed, uint8 number) public view {
        Trees memory t = treesOf(receiptsOf(7, 3));
        vm.assertFalse(accepted(t, 7, seed, noise));
        vm.assertFalse(accepted(t, 7, seed, abi.encodePacked(number, noise)));
    }

    /// @dev Twice the same leaf, leaves in another order, a leaf that no point asks for, one that is missing.
    function testFuzz_prove_failsIfLeavesAreOthers(bytes32 seed, uint256 choice) public view {
        Receipts memory r = receiptsOf(60, 4);
        Trees memory t = treesOf(r);
        uint256[] memory right = positionsAt(t, ReceiptSamples.drawPoints(seed, t.sums[6][0]));
        vm.assume(right.length > 2 && right.length < 16);
        uint256 place = choice % (right.length - 1);
        vm.assertTrue(accepted(t, 60, seed, samplesAt(r, t, right)));
        vm.assertFalse(accepted(t, 60, seed, samplesAt(r, t, with(right, place, right[place]))));
        vm.assertFalse(accepted(t, 60, seed, samplesAt(r, t, without(right, place))));
        uint256 another = right[place] + 1;
        if (another != right[place + 1]) {
            vm.assertFalse(accepted(t, 60, seed, samplesAt(r, t, with(right, place + 1, another))));
        }
        (right[place], right[place + 1]) = (right[place + 1], right[place]);
        vm.assertFalse(accepted(t, 60, seed, samplesAt(r, t, right)));
    }

    /// @dev More leaves than points, of which there are enough in a batch of many.
    function test_prove_failsIfTooManyPositions() public view {
        Receipts memory r = receiptsOf(64, 4);
        Trees memory t = treesOf(r);
        uint256[] memory seventeen = new uint256[](17);
        for (uint256 i = 0; i < 17; ++i) {
            seventeen[i] = i;
        }
        vm.assertFalse(accepted(t, 64, 0, samplesAt(r, t, seventeen)));
        vm.assertFalse(accepted(t, 64, 0, samplesAt(r, t, new uint256[](0))));
    }

    /// @dev A position beyond the tree that ends in the same bits leads to the same leaf, and is refused all the same.
    function testFuzz_prove_failsIfAPositionIsBeyond(bytes32 seed, uint256 place, uint256 bit) public view {
        Receipts memory r = receiptsOf(60, 4);
        Trees memory t = treesOf(r);
        bytes memory samples = samplesOf(r, t, seed);
        place = 1 + 4 * (place % uint8(samples[0]));
        bit = bound(bit, 6, 31);
        samples[place + 3 - bit / 8] |= bytes1(uint8(1 << bit % 8));
        vm.assertFalse(accepted(t, 60, seed, samples));
    }

    // ---------------------------------------------------------------- other batches

    function testFuzz_prove_failsForAnotherClaim(bytes32 seed, bytes32 other, uint64 delta, uint8 count) public view {
        Receipts memory r = receiptsOf(40, 5);
        Trees memory t = treesOf(r);
        bytes memory samples = samplesOf(r, t, seed);
        (bytes32 receiptsRoot, bytes32 locksRoot) = (t.receipts[6][0], t.locks[6][0]);
        uint256 amount = t.sums[6][0];
        vm.assertTrue(proves(samples, seed, receiptsRoot, locksRoot, 40, amount));
        if (other != receiptsRoot) vm.assertFalse(proves(samples, seed, other, locksRoot, 40, amount));
        if (other != locksRoot) vm.assertFalse(proves(samples, seed, receiptsRoot, other, 40, amount));
        if (delta != 0) vm.assertFalse(proves(samples, seed, receiptsRoot, locksRoot, 40, amount + delta));
        // Another count of the same depth has the same trees; that the count is true, the payer's signature says.
        bool sameDepth = count > 32 && count <= 64;
        vm.assume(count != 0);
        vm.assertTrue(proves(samples, seed, receiptsRoot, locksRoot, count, amount) == sameDepth);
    }

    /// @dev A claim is for the sum of its tree, to the unit, also where the points drawn for another amount all lie under receipts.
    /// forge-config: default.fuzz.runs = 16
    function testFuzz_prove_failsForAnotherAmount(bytes32 seed) public view {
        Receipts memory r = receiptsOf(10, 5);
        Trees memory t = treesOf(r);
        uint256 amount = t.sums[4][0];
        uint256 missed = 0;
        for (uint256 claimed = amount - 4; claimed < amount + 4; ++claimed) {
            uint256[] memory points = ReceiptSamples.drawPoints(seed, claimed);
            if (points[15] >= amount) continue; // where nothing is
            bytes memory samples = samplesAt(r, t, positionsAt(t, points));
            bool good = proves(samples, seed, t.receipts[4][0], t.locks[4][0], 10, claimed);
            vm.assertTrue(good == (claimed == amount));
            if (!good) ++missed;
        }
        vm.assertLe(4, missed);
    }

    /// @dev Samples for one seed are none for another whose points lie elsewhere.
    function testFuzz_prove_failsForAnotherSeed(bytes32 seed, bytes32 other) public view {
        Receipts memory r = receiptsOf(200, 5);
        Trees memory t = treesOf(r);
        bytes memory samples = samplesOf(r, t, seed);
        vm.assume(keccak256(samples) != keccak256(samplesOf(r, t, other)));
        vm.assertFalse(accepted(t, 200, other, samples));
    }

    // ---------------------------------------------------------------- help

    function accepted(Trees memory t, uint256 count, bytes32 seed, bytes memory samples) private view returns (bool) {
        uint256 top = t.sums.length - 1;
        return proves(samples, seed, t.receipts[top][0], t.locks[top][0], count, t.sums[top][0]);
    }

    function proves(
        bytes memory samples,
        bytes32 seed,
        bytes32 receiptsRoot,
        bytes32 locksRoot,
        uint256 count,
        uint256 amount
    ) private view returns (bool) {
        try reader.prove(samples, seed, receiptsRoot, locksRoot, count, amount) returns (bool good) {
            return good;
        } catch (bytes memory reason) {
            vm.assertEq(keccak256(reason), keccak256(abi.encodeWithSelector(ReceiptSamples.NoReceipt.selector)));
            return false;
        }
    }

    function with(uint256[] memory list, uint256 place, uint256 value)
        private
        pure
        returns (uint256[] memory longer)
    {
        longer = new uint256[](list.length + 1);
        for (uint256 i = 0; i < longer.length; ++i) {
            longer[i] = i < place ? list[i] : i == place ? value : list[i - 1];
        }
    }

    function without(uint256[] memory list, uint256 place) private pure returns (uint256[] memory shorter) {
        shorter = new uint256[](list.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = list[i < place ? i : i + 1];
        }
    }
}
