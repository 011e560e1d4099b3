"""Reef: cross-build TensorFlow for ARM boards, package it for Debian, publish it with apt."""
