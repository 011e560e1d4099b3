"""The walk of a recipe through the stages; the only room that knows them all."""
