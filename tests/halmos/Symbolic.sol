// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @dev The cheat codes that halmos knows and these checks use.
interface Vm {
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
    function roll(uint256 number) external;
    function load(address account, bytes32 slot) external view returns (bytes32);
}

/// @dev What halmos adds: values that stand for all values of their type.
interface Svm {
    function createUint(uint256 bits, string calldata name) external returns (uint256);
    function createUint256(string calldata name) external returns (uint256);
    function createBytes32(string calldata name) external returns (bytes32);
    function createAddress(string calldata name) external returns (address);
    function createBytes(uint256 size, string calldata name) external returns (bytes memory);
    /// @dev Every slot of the contract holds any value from now on.
    function enableSymbolicStorage(address account) external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
Svm constant svm = Svm(address(uint160(uint256(keccak256("svm cheat code")))));
