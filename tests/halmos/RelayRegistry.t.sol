// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {Network} from "../../contracts/Network.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {AnyLedger} from "./AnyLedger.sol";
import {svm, vm} from "./Symbolic.sol";

/// @dev What becomes of a stake, from any state and for any parameters, for all inputs of full width: of a relay that
/// has left, so that no tree is rebuilt and there are no loops.
contract RelayRegistryCheck {
    address private constant COURT = address(0xC0);

    AnyLedger private ledger;
    RelayRegistry private registry;
    uint96 private stake;
    uint96 private penalty;

    function setUp() public {
        vm.warp(1_700_000_000);
        stake = uint96(svm.createUint(96, "stake"));
        penalty = uint96(svm.createUint(96, "penalty"));
        vm.assume(penalty < stake);
        ledger = new AnyLedger(0);
        Network network = new Network(1_700_000_000, 1 days, address(this));
        IERC20 token = IERC20(address(ledger));
        registry = new RelayRegistry(token, network, stake, 14 days, IChannels(address(ledger)), COURT, penalty);
        svm.enableSymbolicStorage(address(registry));
    }

    /// @dev The court gets what it wants, or all but the penalty, and that is what the stake loses.
    function check_slash(uint32 id, uint96 wanted) public {
        uint96 left = leftOf(id);
        vm.assume(registry.relay(id).owner != address(0));
        vm.prank(COURT);
        uint96 taken = registry.slash(id, wanted);
        assert(taken == wanted || uint256(registry.stakeLeft(id)) <= penalty);
        assert(registry.stakeLeft(id) >= penalty || registry.reporterOf(id) != address(0));
        assert(registry.stakeLeft(id) == left - taken);
        if (taken != 0) assert(ledger.movedTo() == COURT && ledger.moved() == taken);
    }

    /// @dev A penalty is settled once; its parts add up, and the reporter's is 5 %.
    function check_settlePenalty(uint32 id) public {
        uint96 left = leftOf(id);
        vm.assume(registry.relay(id).owner != address(0));
        uint256 burntBefore = registry.burnt();
        vm.assume(burntBefore <= type(uint128).max);
        registry.settlePenalty(id);
        uint96 bounty = uint96(uint256(penalty) * 5 / 100);
        assert(registry.stakeLeft(id) == left - penalty);
        assert(ledger.moved() == bounty);
        assert(registry.burnt() == burntBefore + (penalty - bounty));
        (bool again,) = address(registry).call(abi.encodeCall(registry.settlePenalty, (id)));
        assert(!again);
    }

    /// @dev The owner gets all that neither judgements took nor a penalty can still take.
    function check_withdrawStake(uint32 id, uint40 time, address owner, address to) public {
        vm.assume(owner != address(0)); // nobody has its key
        uint96 left = leftOf(id);
        vm.warp(time);
        vm.prank(owner);
        registry.withdrawStake(id, to);
        assert(ledger.movedTo() == to);
        assert(uint256(ledger.moved()) + registry.stakeLeft(id) == left);
        assert(registry.stakeLeft(id) <= penalty);
        vm.prank(owner);
        (bool again,) = address(registry).call(abi.encodeCall(registry.withdrawStake, (id, to)));
        assert(!again);
    }

    /// @dev What is left of the stake of a relay that has left and was not yet paid out.
    function leftOf(uint32 id) private view returns (uint96 left) {
        vm.assume(registry.relay(id).withdrawableAt != 0);
        left = registry.stakeLeft(id);
        vm.assume(left <= stake);
    }
}
