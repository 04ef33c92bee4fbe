package dev.podidentity.agent.eksauth;

/** The result of one call to EKS Auth. */
public sealed interface EksAuthAnswer permits IssuedCredentials, EksAuthFailure {}
