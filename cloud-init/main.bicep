// A VM on Azure Operator Nexus that enrolls itself, with the roles that its identity needs.
//
//   1. Replace the values in main.parameters.json.
//   2. arc-enroll user-data --config config.yaml --base64 > user-data.b64
//   3. az deployment group create --resource-group "$VM_RESOURCE_GROUP" --template-file main.bicep \
//        --parameters @main.parameters.json --parameters userData=@user-data.b64
//
// The user-data is a parameter, because loadTextContent is limited to 131,072 characters and would put the value into
// the template, which the deployment history shows.

@description('Name of the VM.')
@minLength(2)
@maxLength(64)
param vmName string

@description('Region of the cluster that the VM runs on.')
param location string = resourceGroup().location

@description('Resource id of the custom location of the Nexus cluster.')
param customLocationId string

@description('Resource id of the cloud services network, made with default egress endpoints enabled.')
param cloudServicesNetworkId string

@description('Resource id of the L3 network.')
param l3NetworkId string

@description('The image, with registry and tag.')
param vmImage string

@description('Name of the administrator on the VM.')
param adminUsername string = 'azureuser'

@description('SSH public key of the administrator.')
param sshPublicKey string

@minValue(2)
param cpuCores int = 4

@minValue(1)
param memorySizeGB int = 8

@description('Size of the disk of the operating system.')
@minValue(1)
param diskSizeGB int = 64

@description('Name of a user-assigned identity that exists; empty: the VM gets a system-assigned one.')
param userAssignedIdentityName string = ''

@description('Resource group of the user-assigned identity.')
param userAssignedIdentityResourceGroup string = resourceGroup().name

@description('Subscription of the Arc machine: azure.subscription_id of the configuration.')
param arcSubscriptionId string = subscription().subscriptionId

@description('Resource group of the Arc machine: azure.resource_group of the configuration.')
param arcResourceGroup string

@description('What arc-enroll user-data --base64 wrote. It is base64 already.')
@secure()
param userData string

var isUserAssigned = !empty(userAssignedIdentityName)

resource userAssignedIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = if (isUserAssigned) {
  name: userAssignedIdentityName
  scope: resourceGroup(userAssignedIdentityResourceGroup)
}

// A user-assigned identity exists before the VM, so its roles can be assigned first.
module rolesBefore 'roles.bicep' = if (isUserAssigned) {
  name: 'arc-enroll-roles-${userAssignedIdentityName}'
  scope: resourceGroup(arcSubscriptionId, arcResourceGroup)
  params: {
    // Azure evaluates this even if the module is not deployed.
    principalId: isUserAssigned ? userAssignedIdentity.properties.principalId : ''
  }
}

resource vm 'Microsoft.NetworkCloud/virtualMachines@2025-07-01-preview' = {
  name: vmName
  location: location
  extendedLocation: {
    name: customLocationId
    type: 'CustomLocation'
  }
  // An identity cannot be added to an existing VM.
  identity: isUserAssigned ? {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${userAssignedIdentity.id}': {}
    }
  } : {
    type: 'SystemAssigned'
  }
  properties: {
    adminUsername: adminUsername
    bootMethod: 'UEFI'
    cloudServicesNetworkAttachment: {
      attachedNetworkId: cloudServicesNetworkId
      ipAllocationMethod: 'Disabled'
    }
    cpuCores: cpuCores
    memorySizeGB: memorySizeGB
    networkAttachments: [
      {
        attachedNetworkId: l3NetworkId
        defaultGateway: 'True'
        ipAllocationMethod: 'Dynamic'
        networkAttachmentName: 'mgmt0'
      }
    ]
    sshPublicKeys: [
      {
        keyData: sshPublicKey
      }
    ]
    storageProfile: {
      osDisk: {
        createOption: 'Ephemeral'
        deleteOption: 'Delete'
        diskSizeGB: diskSizeGB
      }
    }
    userDataContent: userData
    vmImage: vmImage
  }
  dependsOn: [
    rolesBefore
  ]
}

// A system-assigned identity comes with the VM; arc-enroll waits for its roles, wait.access at most.
module rolesAfter 'roles.bicep' = if (!isUserAssigned) {
  name: 'arc-enroll-roles-${vmName}'
  scope: resourceGroup(arcSubscriptionId, arcResourceGroup)
  params: {
    principalId: isUserAssigned ? '' : vm.identity.principalId
  }
}

output vmId string = vm.id
