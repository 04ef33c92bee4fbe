/**
 * The agent beside a real kube-apiserver, with the permissions that {@code kubernetes/verified} grants it. {@code mvn verify
 * -Pcluster} runs these tests, with {@code -Dnative} on the native executable; they are skipped otherwise, and where there is
 * no Go to build the API server with. What a real one cannot be made to do is tested with the fake one of
 * {@code dev.podidentity.agent.Cluster}.
 */
package dev.podidentity.agent.realcluster;
