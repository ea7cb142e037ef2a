# A VM on Azure Operator Nexus that enrolls itself, with the roles that its identity needs.
#
#   1. Replace the values in terraform.tfvars.
#   2. arc-enroll user-data --config config.yaml --base64 > user-data.b64
#   3. terraform init && terraform apply

terraform {
  # Write-only arguments, which keep the user-data out of plan and state.
  required_version = ">= 1.11"

  required_providers {
    azapi = {
      source  = "Azure/azapi"
      version = ">= 2.4, < 3.0"
    }
  }
}

provider "azapi" {}

variable "vm_name" {
  description = "Name of the VM."
  type        = string
}

variable "vm_resource_group_id" {
  description = "Resource id of the resource group of the VM."
  type        = string
}

variable "location" {
  description = "Region of the cluster that the VM runs on."
  type        = string
}

variable "custom_location_id" {
  description = "Resource id of the custom location of the Nexus cluster."
  type        = string
}

variable "cloud_services_network_id" {
  description = "Resource id of the cloud services network, made with default egress endpoints enabled."
  type        = string
}

variable "l3_network_id" {
  description = "Resource id of the L3 network."
  type        = string
}

variable "vm_image" {
  description = "The image, with registry and tag."
  type        = string
}

variable "admin_username" {
  description = "Name of the administrator on the VM."
  type        = string
  default     = "azureuser"
}

variable "ssh_public_key" {
  description = "SSH public key of the administrator."
  type        = string
}

variable "cpu_cores" {
  type    = number
  default = 4
}

variable "memory_size_gb" {
  type    = number
  default = 8
}

variable "disk_size_gb" {
  description = "Size of the disk of the operating system."
  type        = number
  default     = 64
}

variable "user_assigned_identity_id" {
  description = "Resource id of a user-assigned identity that exists; null: the VM gets a system-assigned one."
  type        = string
  default     = null
}

variable "arc_subscription_id" {
  description = "Subscription of the Arc machine: azure.subscription_id of the configuration."
  type        = string
}

variable "arc_resource_group" {
  description = "Resource group of the Arc machine: azure.resource_group of the configuration."
  type        = string
}

variable "user_data_file" {
  description = "What arc-enroll user-data --base64 wrote. It is base64 already."
  type        = string
  default     = "user-data.b64"
}

variable "role_ids" {
  description = "Ids of the two built-in roles by their names; `az role definition list --name NAME` shows them."
  type        = map(string)
  default = {
    "Azure Connected Machine Resource Manager"       = "f5819b54-e033-4d82-ac66-4fec3cbf3f4c"
    "HybridCompute Machine ListAccessDetails Action" = "e9701b4d-e6e7-4657-91cd-360a0881d224"
  }
}

locals {
  is_user_assigned = var.user_assigned_identity_id != null
  arc_subscription = "/subscriptions/${var.arc_subscription_id}"
  arc_scope        = "${local.arc_subscription}/resourceGroups/${var.arc_resource_group}"
  role_prefix      = "${local.arc_subscription}/providers/Microsoft.Authorization/roleDefinitions"
}

data "azapi_resource" "identity" {
  count = local.is_user_assigned ? 1 : 0

  type                   = "Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31"
  resource_id            = var.user_assigned_identity_id
  response_export_values = ["properties.principalId"]
}

# A user-assigned identity exists before the VM, so its roles can be assigned first.
resource "azapi_resource" "roles_before" {
  for_each = local.is_user_assigned ? var.role_ids : {}

  type      = "Microsoft.Authorization/roleAssignments@2022-04-01"
  parent_id = local.arc_scope
  name      = uuidv5("url", "${local.arc_scope}/${data.azapi_resource.identity[0].output.properties.principalId}/${each.value}")

  body = {
    properties = {
      principalId      = data.azapi_resource.identity[0].output.properties.principalId
      principalType    = "ServicePrincipal"
      roleDefinitionId = "${local.role_prefix}/${each.value}"
    }
  }
}

resource "azapi_resource" "vm" {
  type      = "Microsoft.NetworkCloud/virtualMachines@2025-07-01-preview"
  parent_id = var.vm_resource_group_id
  name      = var.vm_name
  location  = var.location

  # An identity cannot be added to an existing VM.
  identity {
    type         = local.is_user_assigned ? "UserAssigned" : "SystemAssigned"
    identity_ids = local.is_user_assigned ? [var.user_assigned_identity_id] : []
  }

  body = {
    extendedLocation = {
      name = var.custom_location_id
      type = "CustomLocation"
    }
    properties = {
      adminUsername = var.admin_username
      bootMethod    = "UEFI"
      cloudServicesNetworkAttachment = {
        attachedNetworkId  = var.cloud_services_network_id
        ipAllocationMethod = "Disabled"
      }
      cpuCores     = var.cpu_cores
      memorySizeGB = var.memory_size_gb
      networkAttachments = [
        {
          attachedNetworkId     = var.l3_network_id
          defaultGateway        = "True"
          ipAllocationMethod    = "Dynamic"
          networkAttachmentName = "mgmt0"
        }
      ]
      sshPublicKeys = [
        {
          keyData = var.ssh_public_key
        }
      ]
      storageProfile = {
        osDisk = {
          createOption = "Ephemeral"
          deleteOption = "Delete"
          diskSizeGB   = var.disk_size_gb
        }
      }
      vmImage = var.vm_image
    }
  }

  # Merged with the body, and kept out of plan and state. The file is text, so `file` and not `filebase64`.
  sensitive_body = {
    properties = {
      userDataContent = sensitive(trimspace(file("${path.module}/${var.user_data_file}")))
    }
  }

  # The provider may not know the preview version of the API.
  schema_validation_enabled = false

  depends_on = [azapi_resource.roles_before]
}

# A system-assigned identity comes with the VM; arc-enroll waits for its roles, wait.access at most.
resource "azapi_resource" "roles_after" {
  for_each = local.is_user_assigned ? {} : var.role_ids

  type      = "Microsoft.Authorization/roleAssignments@2022-04-01"
  parent_id = local.arc_scope
  name      = uuidv5("url", "${local.arc_scope}/${azapi_resource.vm.identity[0].principal_id}/${each.value}")

  body = {
    properties = {
      principalId      = azapi_resource.vm.identity[0].principal_id
      principalType    = "ServicePrincipal"
      roleDefinitionId = "${local.role_prefix}/${each.value}"
    }
  }
}

output "vm_id" {
  description = "Resource id of the VM."
  value       = azapi_resource.vm.id
}
