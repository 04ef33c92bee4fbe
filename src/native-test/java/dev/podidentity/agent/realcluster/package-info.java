/**
 * Tests the agent with a real kube-apiserver and the permissions that {@code kubernetes/verified} grants. {@code mvn verify
 * -Pcluster} runs these tests, with {@code -Dnative} on the native executable. They are skipped without this profile, and where
 * Go is not available to build the API server. Cases that a real API server cannot be made to produce are tested with the fake
 * one of {@code dev.podidentity.agent.Cluster}.
 */
package dev.podidentity.agent.realcluster;
