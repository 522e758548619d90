// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {Network} from "../../contracts/Network.sol";
import {SubsidyPool} from "../../contracts/SubsidyPool.sol";
import {AnyLedger} from "./AnyLedger.sol";
import {svm, vm} from "./Symbolic.sol";

/// @dev Caps and budget: one claim from any state that the limits allow, which leaves such a state behind; so any
/// number of claims. For all inputs of full width; signatures are any 64 bytes, and what ecrecover makes of them is
/// any function. No loops.
contract SubsidyPoolCheck {
    uint64 private constant GENESIS = 1_700_000_000;
    uint32 private constant EPOCH = 1 days;
    uint40 private constant CLAIM_WINDOW = 3 days;

    /// @dev Where the campaigns' books stand, and the limits of periods in them: docs/audit/storage/SubsidyPool.json.
    uint256 private constant BOOKS = 3;
    uint256 private constant LIMITS = 5;

    struct State {
        uint96 budget;
        uint96 periodCap;
        uint96 relayCap;
        uint128 left; // of the period's cap
        uint128 fixedCap; // the relays' cap as the period's first payment has written it, or zero
        uint96 claimed;
        uint32 period;
        uint96 inPeriod;
    }

    AnyLedger private ledger;
    SubsidyPool private pool;

    function setUp() public {
        vm.warp(GENESIS);
        ledger = new AnyLedger(0);
        Network network = new Network(GENESIS, EPOCH, address(this));
        IChannels channels = IChannels(address(ledger));
        pool = new SubsidyPool(channels, IRelayRegistry(address(ledger)), network, 4, CLAIM_WINDOW, 7 days);
        svm.enableSymbolicStorage(address(pool));
    }

    function check_claim(uint32 campaign, address relay, uint32 period, uint96 total, uint40 time) public {
        State memory a = state(campaign, relay, period);
        vm.assume(allowed(a, period));
        uint96 paid = claim(campaign, relay, period, total, time);
        vm.assume(paid != 0); // else nothing is written
        State memory b = state(campaign, relay, period);

        assert(allowed(b, period));
        assert(b.claimed == uint256(a.claimed) + paid);
        assert(b.claimed <= total);
        assert(b.budget == uint256(a.budget) - paid);
        assert(b.inPeriod == inThis(a, period) + paid);
        assert(b.left == leftOf(a) - paid);
        assert(ledger.moved() == paid);
    }

    /// @dev Nothing is claimed before a period begins, after its window, or for one before the last.
    function check_claim_inItsTime(uint32 campaign, address relay, uint32 period, uint96 total, uint40 time) public {
        (, uint32 latest,,) = pool.claimedBy(campaign, relay);
        claim(campaign, relay, period, total, time);
        assert(time >= GENESIS + uint256(period) * EPOCH);
        assert(time <= GENESIS + (uint256(period) + 1) * EPOCH + CLAIM_WINDOW);
        assert(period >= latest);
    }

    // ---------------------------------------------------------------- state

    /// @dev Within every limit.
    function allowed(State memory s, uint32 period) private pure returns (bool) {
        bool untouched = s.fixedCap == 0;
        bool fixedWell = both(s.fixedCap == s.relayCap, s.left <= s.periodCap);
        bool relayWell = both(s.inPeriod <= s.claimed, s.inPeriod <= s.relayCap);
        bool relayFirst = both(both(untouched, s.period == period), s.inPeriod != 0);
        return both(both(either(untouched, fixedWell), relayWell), !relayFirst);
    }

    /// @dev What the period's cap leaves.
    function leftOf(State memory s) private pure returns (uint256) {
        return s.fixedCap == 0 ? s.periodCap : s.left;
    }

    /// @dev What the relay was paid for this period.
    function inThis(State memory s, uint32 period) private pure returns (uint256) {
        return s.period == period ? s.inPeriod : 0;
    }

    function state(uint32 campaign, address relay, uint32 period) private view returns (State memory s) {
        ISubsidyPool.Campaign memory c = pool.campaign(campaign);
        (s.budget, s.periodCap, s.relayCap) = (c.budget, c.periodCap, c.relayCap);
        (s.claimed, s.period, s.inPeriod,) = pool.claimedBy(campaign, relay);
        uint256 books = uint256(keccak256(abi.encode(campaign, BOOKS)));
        uint256 limits = uint256(vm.load(address(pool), keccak256(abi.encode(period, books + LIMITS))));
        // forge-lint: disable-next-line(unsafe-typecast) (the halves of a word)
        (s.left, s.fixedCap) = (uint128(limits), uint128(limits >> 128));
    }

    function claim(uint32 campaign, address relay, uint32 period, uint96 total, uint40 time)
        private
        returns (uint96)
    {
        bytes32 r = svm.createBytes32("r");
        bytes32 vs = svm.createBytes32("vs");
        (, uint40 until) = pool.formerSigner(campaign);
        vm.assume(until < time); // who signed makes no difference to what is paid
        vm.warp(time);
        vm.prank(relay);
        return pool.claim(campaign, period, total, r, vs);
    }

    // ---------------------------------------------------------------- without branches, which multiply the paths

    function both(bool a, bool b) private pure returns (bool c) {
        assembly {
            c := and(a, b)
        }
    }

    function either(bool a, bool b) private pure returns (bool c) {
        assembly {
            c := or(a, b)
        }
    }
}
