// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Channels} from "../../contracts/Channels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {ExactTransfer} from "../../contracts/lib/ExactTransfer.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {CallbackToken, FalseToken, FeeToken, QuietToken} from "./OddTokens.sol";
import {Fixture} from "./Fixture.sol";
import {vm} from "./Vm.sol";

/// @dev Moves nothing to or from an account that its issuer has shut out.
contract ShuttingToken is ERC20 {
    error ShutOut(address account);

    mapping(address account => bool) public shut;

    constructor() ERC20("Shutting", "SHT") {
        _mint(msg.sender, 1e30);
    }

    function set(address account, bool out) external {
        shut[account] = out;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (shut[from]) revert ShutOut(from);
        if (shut[to]) revert ShutOut(to);
        super._update(from, to, value);
    }
}

/// @dev Tokens that are not plain, at each call that touches the token. This contract is owner and court of all relays.
contract RelayRegistryTokensTest is Fixture {
    address private bob = address(0xB0B);
    Channels private ledger;

    /// @dev A registry of an odd token with relay 1 in it.
    function begin(address odd) private {
        deploy(odd);
        joinHere(1);
    }

    function deploy(address odd) private {
        ledger = new Channels(IERC20(odd), NOTICE, IReceiptCourt(address(this)));
        registry = new RelayRegistry(IERC20(odd), network, 1000, UNBONDING, ledger, address(this), 400);
        QuietToken(odd).approve(address(registry), 10_000); // whatever it answers
    }

    function joinHere(uint256 key) public {
        bytes memory signed = consent(key, address(this));
        registry.register(vm.addr(key), bytes32("link"), "host:1", signed);
    }

    function unbond() private {
        vm.warp(registry.relay(1).withdrawableAt);
    }

    // ---------------------------------------------------------------- fees, false, nothing

    function test_register_failsIfTokenTakesFee() public {
        deploy(address(new FeeToken()));
        bytes memory signed = consent(1, address(this));
        vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 0, 990));
        registry.register(vm.addr(1), bytes32("link"), "host:1", signed);
    }

    function test_register_failsIfTokenSaysFalse() public {
        address odd = address(new FalseToken());
        deploy(odd);
        bytes memory signed = consent(1, address(this));
        vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", odd));
        registry.register(vm.addr(1), bytes32("link"), "host:1", signed);
    }

    /// @dev Like USDT: the whole life of a relay, with a judgement and a penalty.
    function test_stakes_ofATokenThatReturnsNothing() public {
        QuietToken odd = new QuietToken();
        begin(address(odd));
        registry.slash(1, 100);
        registry.condemn(1, bob);
        unbond();
        registry.slash(1, 100); // the approval of the first one is used up, so this one needs no reset
        registry.settlePenalty(1);
        registry.withdrawStake(1, bob);
        vm.assertEq(odd.balanceOf(bob), 400);
        vm.assertEq(ledger.balanceOf(address(this)), 200);
        vm.assertEq(ledger.balanceOf(bob), 20);
        vm.assertEq(odd.balanceOf(address(registry)), registry.burnt());
        vm.assertEq(registry.burnt(), 380);
    }

    // ---------------------------------------------------------------- shut out

    /// @dev A reporter that the token shuts out gets its bounty all the same: it is credited in the ledger.
    function test_settlePenalty_paysAReporterThatIsShutOut() public {
        ShuttingToken odd = new ShuttingToken();
        begin(address(odd));
        registry.condemn(1, bob);
        odd.set(bob, true);
        unbond();
        registry.settlePenalty(1);
        vm.assertEq(ledger.balanceOf(bob), 20);
    }

    /// @dev Whatever is wrong with reporter, court and ledger: the owner gets what is rightfully left.
    function test_withdrawStake_paysAlsoWhenNobodyElseCanBePaid() public {
        ShuttingToken odd = new ShuttingToken();
        begin(address(odd));
        registry.slash(1, 100);
        registry.condemn(1, bob);
        unbond();
        odd.set(bob, true);
        odd.set(address(ledger), true);
        vm.expectRevert(abi.encodeWithSelector(ShuttingToken.ShutOut.selector, address(ledger)));
        registry.settlePenalty(1);
        vm.expectRevert(abi.encodeWithSelector(ShuttingToken.ShutOut.selector, address(ledger)));
        registry.slash(1, 1);
        registry.withdrawStake(1, address(this));
        vm.assertEq(registry.stakeLeft(1), 400);
        vm.assertEq(odd.balanceOf(address(registry)), 400);
        odd.set(address(ledger), false);
        registry.settlePenalty(1);
        vm.assertEq(ledger.balanceOf(bob), 20);
        vm.assertEq(registry.burnt(), 380);
    }

    // ---------------------------------------------------------------- calls back

    function test_withdrawStake_isOverBeforeTheTokenCallsBack() public {
        CallbackToken odd = new CallbackToken();
        begin(address(odd));
        odd.transfer(address(registry), 1000); // somebody else's money
        registry.leave(1);
        unbond();
        odd.arm(address(this), abi.encodeCall(this.withdrawHere, ()));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.NotOwner.selector));
        registry.withdrawStake(1, bob);
    }

    /// @dev One registration inside another would count the same tokens twice.
    function test_register_failsIfOneIsMadeInsideAnother() public {
        CallbackToken odd = new CallbackToken();
        deploy(address(odd));
        odd.arm(address(this), abi.encodeCall(this.joinHere, (2)));
        bytes memory signed = consent(1, address(this));
        vm.expectRevert(abi.encodeWithSelector(ExactTransfer.InexactTransfer.selector, 1000, 0, 2000));
        registry.register(vm.addr(1), bytes32("link"), "host:1", signed);
    }

    /// @dev While a judgement is paid out, the owner withdraws: it gets what the judgement has left.
    function test_slash_isBookedBeforeTheTokenCallsBack() public {
        CallbackToken odd = new CallbackToken();
        begin(address(odd));
        registry.leave(1);
        unbond();
        odd.arm(address(this), abi.encodeCall(this.withdrawHere, ()));
        vm.assertEq(registry.slash(1, 300), 300);
        vm.assertEq(odd.balanceOf(bob), 700);
        vm.assertEq(ledger.balanceOf(address(this)), 300);
        vm.assertEq(odd.balanceOf(address(registry)), 0);
    }

    /// @dev The same while a penalty is settled; and nobody settles it twice.
    function test_settlePenalty_isBookedBeforeTheTokenCallsBack() public {
        CallbackToken odd = new CallbackToken();
        begin(address(odd));
        registry.condemn(1, bob);
        unbond();
        odd.arm(address(registry), abi.encodeCall(registry.settlePenalty, (1)));
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.PenaltyAlreadySettled.selector));
        registry.settlePenalty(1);
        odd.arm(address(this), abi.encodeCall(this.withdrawHere, ()));
        registry.settlePenalty(1);
        vm.assertEq(odd.balanceOf(bob), 600);
        vm.assertEq(ledger.balanceOf(bob), 20);
        vm.assertEq(odd.balanceOf(address(registry)), 380);
        vm.assertEq(registry.burnt(), 380);
    }

    function withdrawHere() external {
        registry.withdrawStake(1, bob);
    }
}
