// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {INetwork} from "./interfaces/INetwork.sol";

/// @title Network
/// @notice See INetwork.
contract Network is INetwork, Ownable2Step {
    // ---------------------------------------------------------------- immutables

    /// @inheritdoc INetwork
    uint64 public immutable genesis;
    /// @inheritdoc INetwork
    uint32 public immutable epochLength;

    // ---------------------------------------------------------------- storage

    Release[] private _releases;

    // ---------------------------------------------------------------- functions

    /// @param genesis_ Start of epoch 0, in seconds of chain time
    /// @param epochLength_ Length of every epoch in seconds, not zero
    /// @param owner_ Who publishes releases; meant to be a timelock
    constructor(uint64 genesis_, uint32 epochLength_, address owner_) Ownable(owner_) {
        if (epochLength_ == 0) revert InvalidEpochLength();
        genesis = genesis_;
        epochLength = epochLength_;
    }

    /// @inheritdoc INetwork
    function publish(Release calldata newRelease) external onlyOwner {
        bool named = newRelease.registry != address(0) && newRelease.channels != address(0)
            && newRelease.pool != address(0) && newRelease.hopPrice != 0;
        if (!named) revert InvalidRelease();

        uint256 index = _releases.length;
        uint32 earliest = currentEpoch();
        if (index != 0) {
            uint32 last = _releases[index - 1].activationEpoch;
            earliest = (last > earliest ? last : earliest) + 1;
        }
        uint32 activation = newRelease.activationEpoch;
        if (activation < earliest) revert ActivationTooEarly(activation, earliest);

        _releases.push(newRelease);

        emit ReleasePublished(index, activation, newRelease);
    }

    /// @inheritdoc INetwork
    function release() external view returns (Release memory) {
        return releaseAt(currentEpoch());
    }

    /// @inheritdoc INetwork
    function releases(uint256 index) external view returns (Release memory) {
        return _releases[index];
    }

    /// @inheritdoc INetwork
    function releaseCount() external view returns (uint256) {
        return _releases.length;
    }

    /// @inheritdoc INetwork
    function epochStart(uint32 epoch) external view returns (uint64) {
        return genesis + uint64(epoch) * epochLength;
    }

    /// @inheritdoc INetwork
    function currentEpoch() public view returns (uint32) {
        return epochAt(SafeCast.toUint64(block.timestamp));
    }

    /// @inheritdoc INetwork
    function epochAt(uint64 timestamp) public view returns (uint32) {
        if (timestamp < genesis) revert BeforeGenesis(timestamp, genesis);
        return SafeCast.toUint32((timestamp - genesis) / epochLength);
    }

    /// @inheritdoc INetwork
    function releaseAt(uint32 epoch) public view returns (Release memory) {
        // Newest first: the one asked for is nearly always the last or the last but one.
        for (uint256 i = _releases.length; i != 0; --i) {
            if (_releases[i - 1].activationEpoch <= epoch) return _releases[i - 1];
        }
        revert NoRelease(epoch);
    }
}
