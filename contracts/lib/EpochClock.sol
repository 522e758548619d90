// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {INetwork} from "../interfaces/INetwork.sol";

/// @title Epochs of chain time, without asking Network each time
/// @dev Genesis and epoch length never change in Network, so a copy made at deployment is as good and saves a call.
abstract contract EpochClock {
    uint256 private immutable _genesis;
    uint256 private immutable _epochLength;

    /// @param network Whose clock is copied
    constructor(INetwork network) {
        _genesis = network.genesis();
        _epochLength = network.epochLength();
    }

    /// @dev The epoch of this block. Reverts before genesis; Network says so in its own words.
    function _currentEpoch() internal view returns (uint32) {
        return SafeCast.toUint32((block.timestamp - _genesis) / _epochLength);
    }

    /// @dev First second of an epoch.
    function _epochStart(uint32 epoch) internal view returns (uint256) {
        unchecked {
            return _genesis + epoch * _epochLength; // 64 bits, and 32 by 32
        }
    }

    /// @dev First second after an epoch.
    function _epochEnd(uint32 epoch) internal view returns (uint256) {
        unchecked {
            return _epochStart(epoch) + _epochLength; // as above
        }
    }
}
