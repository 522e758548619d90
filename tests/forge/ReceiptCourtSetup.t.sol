// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Channels} from "../../contracts/Channels.sol";
import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {ReceiptCourt} from "../../contracts/ReceiptCourt.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {Token} from "../../contracts/Token.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev Somebody's registry, which says of itself what it likes.
contract StrangeRegistry {
    address public immutable COURT;
    IChannels public immutable CHANNELS;
    IERC20 public immutable TOKEN;
    uint40 public constant UNBONDING = 14 days;

    constructor(address court, IChannels channels, IERC20 token) {
        (COURT, CHANNELS, TOKEN) = (court, channels, token);
    }
}

/// @dev A court stands only where all contracts name each other, and time suffices for a case before a stake is gone.
contract ReceiptCourtSetupTest is Fixture {
    function test_constructor_keepsWhatItIsGiven() public view {
        vm.assertEq(address(court.CHANNELS()), address(channels));
        vm.assertEq(address(court.REGISTRY()), address(registry));
        vm.assertEq(court.ANSWER_WINDOW(), ANSWER_WINDOW);
        vm.assertEq(court.FINISH_WINDOW(), FINISH_WINDOW);
        vm.assertEq(court.GRACE(), GRACE);
        vm.assertEq(court.COST(), COURT_COST);
    }

    // ---------------------------------------------------------------- names

    /// @dev Deployed again, at an address that nobody has named.
    function test_constructor_failsIfNotNamed() public {
        expectInvalid();
        new ReceiptCourt(channels, registry, windows());
    }

    function test_constructor_failsIfOnlyChannelsNameIt() public {
        Channels other = new Channels(token, NOTICE, IReceiptCourt(next(2)));
        StrangeRegistry wrong = new StrangeRegistry(address(court), other, token);
        expectInvalid();
        new ReceiptCourt(other, IRelayRegistry(address(wrong)), windows());
    }

    function test_constructor_failsIfOnlyTheRegistryNamesIt() public {
        StrangeRegistry right = new StrangeRegistry(next(1), channels, token);
        expectInvalid();
        new ReceiptCourt(channels, IRelayRegistry(address(right)), windows());
    }

    function test_constructor_failsIfTheRegistryPaysElsewhere() public {
        Channels other = new Channels(token, NOTICE, IReceiptCourt(next(2)));
        StrangeRegistry wrong = new StrangeRegistry(next(1), channels, token);
        expectInvalid();
        new ReceiptCourt(other, IRelayRegistry(address(wrong)), windows());
    }

    function test_constructor_failsIfTokensDiffer() public {
        Token another = new Token(1);
        Channels other = new Channels(token, NOTICE, IReceiptCourt(next(2)));
        StrangeRegistry wrong = new StrangeRegistry(next(1), other, another);
        expectInvalid();
        new ReceiptCourt(other, IRelayRegistry(address(wrong)), windows());
    }

    /// @dev Which of two addresses is the larger says nothing.
    function test_constructor_failsForAddressesOnBothSides() public {
        for (uint256 i = 0; i < 8; ++i) {
            Token another = new Token(1);
            Channels elsewhere = new Channels(token, NOTICE, IReceiptCourt(address(court)));
            Channels other = new Channels(token, NOTICE, IReceiptCourt(next(2)));
            StrangeRegistry wrong =
                new StrangeRegistry(next(1), i % 2 == 0 ? elsewhere : other, i % 2 == 0 ? token : another);
            expectInvalid();
            this.make(other, IRelayRegistry(address(wrong)), windows());
        }
    }

    /// @dev With everything right, somebody else's registry will do.
    function test_constructor_takesWhatFits() public {
        Channels other = new Channels(token, NOTICE, IReceiptCourt(next(2)));
        StrangeRegistry right = new StrangeRegistry(next(1), other, token);
        ReceiptCourt made = new ReceiptCourt(other, IRelayRegistry(address(right)), windows());
        vm.assertEq(address(made.REGISTRY()), address(right));
    }

    // ---------------------------------------------------------------- times

    /// @dev A case ends within the notice, and judgement, notice and grace before the stake can be withdrawn.
    function testFuzz_constructor_times(uint40 answer, uint40 finish, uint40 grace, uint40 notice) public {
        notice = uint40(bound(notice, 0, 400 days));
        answer = uint40(bound(answer, 0, 2 * uint256(notice)));
        finish = uint40(bound(finish, 0, 2 * uint256(notice)));
        uint256 sum = uint256(answer) + finish;
        bool fits = answer != 0 && finish != 0 && sum <= notice && notice + sum + grace < UNBONDING;
        deploy(answer, finish, grace, notice, fits);
    }

    function test_constructor_timesAtTheEdge() public {
        deploy(ANSWER_WINDOW, NOTICE - ANSWER_WINDOW, 0, NOTICE, true);
        deploy(ANSWER_WINDOW, NOTICE - ANSWER_WINDOW + 1, 0, NOTICE, false);
        deploy(0, NOTICE, 0, NOTICE, false);
        deploy(NOTICE, 0, 0, NOTICE, false);
        uint40 most = UNBONDING - NOTICE - ANSWER_WINDOW - FINISH_WINDOW - 1;
        deploy(ANSWER_WINDOW, FINISH_WINDOW, most, NOTICE, true);
        deploy(ANSWER_WINDOW, FINISH_WINDOW, most + 1, NOTICE, false);
        // As wide as can be: nothing wraps around.
        uint40 all = type(uint40).max;
        deploy(all, all, all, all, false);
    }

    // ---------------------------------------------------------------- help

    function deploy(uint40 answer, uint40 finish, uint40 grace, uint40 notice, bool fits) private {
        address predicted = next(2);
        Channels c = new Channels(token, notice, IReceiptCourt(predicted));
        RelayRegistry r = new RelayRegistry(token, network, STAKE, UNBONDING, c, predicted, PENALTY);
        if (!fits) expectInvalid();
        this.make(c, r, IReceiptCourt.Parameters(answer, finish, grace, COURT_COST));
    }

    /// @dev A call of its own, as in RelayRegistryTest.
    function make(IChannels c, IRelayRegistry r, IReceiptCourt.Parameters memory parameters) external {
        new ReceiptCourt(c, r, parameters);
    }

    /// @dev Address of the contract that this one deploys after so many others.
    function next(uint256 others) private view returns (address) {
        return vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + others);
    }

    function windows() private pure returns (IReceiptCourt.Parameters memory) {
        return IReceiptCourt.Parameters(ANSWER_WINDOW, FINISH_WINDOW, GRACE, COURT_COST);
    }

    function expectInvalid() private {
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.InvalidParameters.selector));
    }
}
