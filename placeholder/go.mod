module rdev-infra/placeholder

go 1.26.0
