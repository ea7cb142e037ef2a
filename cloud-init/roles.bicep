// The two roles that enrolling needs, for one identity, on the resource group of the Arc machine. Used by main.bicep.

@description('Object id of the identity.')
param principalId string

// Bicep cannot look a role up by its name. These are the ids of the built-in roles; compare them with
//   az role definition list --name "Azure Connected Machine Resource Manager" --query "[].name" --output tsv
//   az role definition list --name "HybridCompute Machine ListAccessDetails Action" --query "[].name" --output tsv
@description('Id of the role Azure Connected Machine Resource Manager.')
param resourceManagerRoleId string = 'f5819b54-e033-4d82-ac66-4fec3cbf3f4c'

@description('Id of the role HybridCompute Machine ListAccessDetails Action.')
param listAccessDetailsRoleId string = 'e9701b4d-e6e7-4657-91cd-360a0881d224'

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for roleId in [resourceManagerRoleId, listAccessDetailsRoleId]: {
  // The name is derived from identity, role and group, so that a second deployment changes nothing.
  name: guid(resourceGroup().id, principalId, roleId)
  properties: {
    principalId: principalId
    // Given explicitly, since a new identity is not yet replicated in Entra ID.
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
  }
}]
