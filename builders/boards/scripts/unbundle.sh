# Removes a bundle that nothing needs any more.

drop_bundle
fact end complete
