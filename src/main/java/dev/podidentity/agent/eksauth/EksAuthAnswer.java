package dev.podidentity.agent.eksauth;

/** What came of one call to EKS Auth. */
public sealed interface EksAuthAnswer permits IssuedCredentials, EksAuthFailure {}
