package test

// inabilities of the peers in Debian 12.
var inabilities = []inability{}
