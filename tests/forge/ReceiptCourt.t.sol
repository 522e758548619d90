// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {Courtroom} from "./Courtroom.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

contract ReceiptCourtTest is Fixture, Courtroom {
    uint256 private constant KEY = 0xA11CE;
    address private alice = vm.addr(KEY);
    address private bob = address(0xB0B);

    function testFuzz_finish_judges(uint256 seed, uint256 count) public {
        count = bound(count, 1, 70);
        Receipts memory r = receiptsOf(count, seed);
        open(alice, bob, 1 ether);
        IReceiptCourt.Case memory c = openFirst(KEY, bob, r, treesOf(r));
        bytes32 drawn = draw(c);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        court.finish(c, samplesOf(r, treesOf(r), drawn));
        uint96 total = uint96(c.amount * HOP_PRICE + COURT_COST);
        vm.assertEq(court.judgement(alice, bob).total, total);
        uint256 bond = channels.balanceOf(bob);
        channels.claimJudgement(alice, bob);
        vm.assertEq(channels.balanceOf(bob) - bond, total);
    }

    function test_finish_costs() public {
        Receipts memory r = receiptsOf(4096, 1);
        IReceiptCourt.Case memory c = openFirst(KEY, bob, r, treesOf(r));
        bytes32 drawn = draw(c);
        vm.warp(c.openedAt + ANSWER_WINDOW);
        court.finish(c, samplesOf(r, treesOf(r), drawn));
    }
}
